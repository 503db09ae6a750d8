"""A load generator that costs little: pictures as `curl -F` sends them, over connections that stay open.

    from _load import Load, measure, start

    measured = measure(Load(url="http://127.0.0.1:8000", picture=jpeg, connections=16, seconds=10))
    print(measured.rate, measured.p50, measured.p99, measured.statuses)

Closed loop (`rate` None): each connection sends its next request when its answer is there. Open loop (`rate` in
requests a second): requests are due at even times whatever the answers do, over at most `connections` connections; the
time of a request counts from when it was due, so a stalled server is not excused. It runs in a process of its own;
`start` gives the Future of it, to do something to the server meanwhile.
"""

import asyncio
import multiprocessing
import resource
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CUT = 0
"""The status of a request whose connection was refused, or ended before its answer."""
TIMED_OUT = -1
"""The status of a request that had no answer within `Load.timeout`."""
_BOUNDARY = "----------------imgcls-benchmark"


@dataclass(frozen=True)
class Load:
    """What is sent."""

    url: str
    """Of the server, with the path if that is not /classify."""
    picture: bytes
    """A JPEG."""
    connections: int = 16
    seconds: float = 10.0
    """After `warm`."""
    warm: float = 1.0
    """Seconds before anything counts; in an open loop too."""
    rate: float | None = None
    """Requests a second of the open loop; None is the closed loop."""
    field: str = "img"
    """The form's field."""
    timeout: float = 60.0
    """Seconds for one try."""
    retries: int = 0
    """Further tries of a request that was cut or refused with 503, over a new connection if it was cut."""
    keep_bodies: bool = False
    """Keep what was answered, for checks."""


@dataclass(frozen=True)
class Answer:
    """One request that was answered, or was not."""

    at: float
    """When it was sent (closed loop) or due (open loop): seconds by `time.monotonic()`, one clock for all processes."""
    seconds: float
    status: int
    """Of HTTP, or CUT, or TIMED_OUT; of the last try."""
    tries: int
    body: bytes
    """Empty unless bodies are kept."""


@dataclass(frozen=True)
class Measured:
    """What came of a load."""

    answers: list[Answer]
    """Those sent after `warm`, in the order they ended."""
    elapsed: float
    """Seconds in which they were sent and ended."""
    cpu: float
    """Seconds of CPU that the generator itself took in them."""

    @property
    def statuses(self) -> dict[int, int]:
        """How many by status."""
        return dict(Counter(answer.status for answer in self.answers))

    @property
    def good(self) -> list[Answer]:
        """Those answered 200."""
        return [answer for answer in self.answers if answer.status == 200]

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.good) / self.elapsed

    @property
    def p50(self) -> float:
        """Median seconds of the good ones."""
        return quantile([answer.seconds for answer in self.good], 0.5)

    @property
    def p99(self) -> float:
        """99th percentile of the seconds of the good ones."""
        return quantile([answer.seconds for answer in self.good], 0.99)


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of the values are not above; NaN of none."""
    if not values:
        return float("nan")
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(load: Load) -> Measured:
    """Send it, and wait for the end."""
    return start(load).result()


def start(load: Load) -> "Future[Measured]":
    """Begin to send it; the result comes after `warm` + `seconds` and the last answers."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    future = pool.submit(_measure, load)
    pool.shutdown(wait=False)
    return future


def form(picture: bytes, name: str = "img") -> tuple[str, bytes]:
    """The media type and body of a form with one file."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return f"multipart/form-data; boundary={_BOUNDARY}", head.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _measure(load: Load) -> Measured:
    return asyncio.run(_Generator(load).run())


class _Connection(asyncio.Protocol):
    """One connection with one request at a time; it calls `ended(status, body)` for each."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended: Callable[[int, bytes], None] | None = None
        self._received, self._head, self._length, self._status = bytearray(), -1, 0, CUT

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def send(self, request: bytes, ended: Callable[[int, bytes], None]) -> None:
        self._received, self._head, self.ended = bytearray(), -1, ended
        if self.transport is None or self.transport.is_closing():
            self._end(CUT, b"")
        else:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._head < 0:
            at = self._received.find(b"\r\n\r\n")
            if at < 0:
                return
            head = bytes(self._received[:at]).lower()
            self._head, self._status = at + 4, int(head[9:12])
            # Each server here says how long its answers are; one that did not would be cut, and counted so.
            _, found, rest = head.partition(b"content-length:")
            self._length = int(rest.partition(b"\r\n")[0]) if found else 1 << 40
        if len(self._received) >= self._head + self._length:
            self._end(self._status, bytes(self._received[self._head :]))

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        self._end(CUT, b"")

    def close(self) -> None:
        if self.transport:
            self.transport.abort()
        self.transport = None

    def _end(self, status: int, body: bytes) -> None:
        ended, self.ended = self.ended, None
        if ended:
            ended(status, body)


@dataclass
class _Generator:
    load: Load
    answers: list[Answer] = field(default_factory=list)
    waiting: deque[float] = field(default_factory=deque)
    """When the requests of the open loop were due that no connection has taken yet."""

    async def run(self) -> Measured:
        load = self.load
        kind, body = form(load.picture, load.field)
        parts = urlsplit(load.url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.request = (
            f"POST {parts.path or '/classify'} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: benchmark\r\n"
            f"Accept: */*\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        began = time.monotonic() + load.warm
        self.end = began + load.seconds
        self.due = asyncio.Condition()
        workers = [asyncio.create_task(self._work()) for _ in range(load.connections)]
        pace = asyncio.create_task(self._pace(load.rate)) if load.rate else None
        await asyncio.sleep(load.warm)
        cpu = _cpu()
        await asyncio.gather(*workers, *([pace] if pace else []))
        counted = [answer for answer in self.answers if answer.at >= began]
        last = max((answer.at + answer.seconds for answer in counted), default=self.end)
        return Measured(counted, max(last, self.end) - began, _cpu() - cpu)

    async def _pace(self, rate: float) -> None:
        began, sent = time.monotonic(), 0
        while (now := time.monotonic()) < self.end:
            owed = int((now - began) * rate) - sent
            async with self.due:
                self.waiting.extend(began + (sent + each) / rate for each in range(owed))
                self.due.notify(owed)
            sent += owed
            await asyncio.sleep(max(0.001, began + (sent + 1) / rate - time.monotonic()))
        async with self.due:
            self.due.notify_all()

    async def _work(self) -> None:
        connection: _Connection | None = None
        while (due := await self._next()) is not None:
            tried, status = 0, CUT
            while tried <= self.load.retries and status in (CUT, 503):
                tried += 1
                connection, status, body = await self._try(connection)
            kept = body if self.load.keep_bodies else b""
            self.answers.append(Answer(due, time.monotonic() - due, status, tried, kept))
        if connection:
            connection.close()

    async def _next(self) -> float | None:
        """When the next request is due; None is the end."""
        if self.load.rate is None:
            now = time.monotonic()
            return now if now < self.end else None
        async with self.due:
            await self.due.wait_for(lambda: self.waiting or time.monotonic() >= self.end)
            return self.waiting.popleft() if self.waiting else None

    async def _try(self, connection: _Connection | None) -> tuple[_Connection | None, int, bytes]:
        """One try, over the connection if it is still open; gives the one to go on with."""
        loop = asyncio.get_running_loop()
        if connection is None or connection.transport is None or connection.transport.is_closing():
            try:
                _, connection = await loop.create_connection(_Connection, self.host, self.port)
            except OSError:
                await asyncio.sleep(0.01)  # refused: not as fast as the CPU can
                return None, CUT, b""
        answered: asyncio.Future[tuple[int, bytes]] = loop.create_future()
        timer = loop.call_later(self.load.timeout, _settle, answered, TIMED_OUT, b"")
        connection.send(self.request, lambda status, body: _settle(answered, status, body))
        status, body = await answered
        timer.cancel()
        if status in (CUT, TIMED_OUT):
            connection.close()
            return None, status, body
        return connection, status, body


def _settle(answered: "asyncio.Future[tuple[int, bytes]]", status: int, body: bytes) -> None:
    if not answered.done():
        answered.set_result((status, body))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
