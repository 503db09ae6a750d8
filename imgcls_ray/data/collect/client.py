"""Fetching addresses politely: one pace per host, repeated when it may help, never past the limits."""

import email.utils
import http.client
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin

from imgcls_ray import __version__
from imgcls_ray.data.collect.address import split_url
from imgcls_ray.data.collect.errors import Again, FetchError, Stopped
from imgcls_ray.data.collect.exchange import Exchange, Exchanges
from imgcls_ray.data.collect.pace import Pace
from imgcls_ray.data.collect.settings import CollectSettings
from imgcls_ray.data.sources import HEAD

_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)
"""Answers of the 4xx kind that a moment may change."""
_CHUNK = 1 << 16

BUSY = 5.0
"""Seconds for which a host is left alone that answers 429 and names no time."""
BACKOFF = 0.5
"""Seconds before a request is repeated; doubled each time, where the server names no time."""


@dataclass(frozen=True)
class Limits:
    """What one answer may be."""

    size: int
    """In bytes."""
    accept: str
    """The Accept header."""
    check: Callable[[bytes], object] | None = None
    """Called with the first bytes (32, fewer if there are no more) before the rest is read; may raise FetchError."""


class Client:
    """Used by many threads at once."""

    def __init__(self, settings: CollectSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._exchanges = Exchanges(settings.allow_private)
        self.pace = Pace(settings.rate, settings.max_wait, self._stop)
        contact = f"; {settings.contact}" if settings.contact else ""
        self._agent = f"imgcls-ray/{__version__} (collects pictures for a classifier{contact})"

    def stop(self) -> None:
        """End all waits and exchanges now: every call of `get`, under way or to come, raises Stopped."""
        self._stop.set()
        self._exchanges.cut_all()

    def get(self, url: str, limits: Limits, headers: dict[str, str] | None = None) -> bytes:
        """The body of the answer to a GET.

        Args:
            url: http or https; a redirect to anything else is refused, and so are addresses that are not public.
            limits: of the answer.
            headers: sent to this host only, not to one that it redirects to.

        Raises:
            FetchError: what came instead, or nothing; repeated `settings.retries` times where that may help.
            Stopped: the run is ending.
        """
        for attempt in range(self._settings.retries + 1):
            try:
                return self._follow(split_url(url), limits, headers or {})
            except FetchError as error:
                if error.again is not Again.NOW:
                    raise
                if attempt == self._settings.retries:
                    raise FetchError(error.reason, Again.LATER) from error
                if error.wait is None:  # else the host is held by the pace
                    self.pace.sleep(min(BACKOFF * 2**attempt, 30.0))
        raise Stopped  # not reached: the last attempt returns or raises

    def _follow(self, parts: SplitResult, limits: Limits, headers: dict[str, str]) -> bytes:
        end = time.monotonic() + self._settings.timeout
        first = parts.netloc
        for _ in range(self._settings.max_redirects + 1):
            before = time.monotonic()
            self.pace.wait(parts.netloc)
            end += time.monotonic() - before  # waiting for our turn is not the server's time
            own = headers if parts.netloc == first else {}
            location = self._exchange(parts, limits, own, end)
            if isinstance(location, bytes):
                return location
            try:
                target = split_url(urljoin(parts.geturl(), location))
            except FetchError as error:
                raise FetchError("redirect to no http address", Again.NEVER) from error
            if parts.scheme == "https" and target.scheme == "http":
                first = ""  # a token must not go on in the clear
            parts = target
        raise FetchError("too many redirects", Again.NEVER)

    def _exchange(self, parts: SplitResult, limits: Limits, headers: dict[str, str], end: float) -> bytes | str:
        """The body, or where else to look."""
        late: threading.Event | None = None
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise FetchError("time-out", Again.NOW)
        sent = {"User-Agent": self._agent, "Accept": limits.accept, **headers, "Connection": "close"}
        try:
            with self._exchanges.get(parts, sent, seconds) as exchange:
                late = exchange.late
                self.pace.answered(parts.netloc, True)
                return self._answer(exchange, limits, parts.netloc)
        except FetchError:
            self._check_stop()
            if late is not None and late.is_set():  # cut by the clock, which looks like a short answer
                raise FetchError("time-out", Again.NOW) from None
            raise
        except (OSError, http.client.HTTPException) as error:
            self._check_stop()
            if late is None:
                self.pace.answered(parts.netloc, False)
            raise network_error(error, end) from error

    def _answer(self, exchange: Exchange, limits: Limits, host: str) -> bytes | str:
        answer = exchange.answer
        location = answer.headers.get("Location")
        if answer.status in _REDIRECTS and location:
            return location
        if answer.status == 200:
            return read_body(answer, limits)
        if answer.status in _PASSING or answer.status >= 500:
            wait = _retry_after(answer.headers.get("Retry-After"))
            if wait is None and answer.status == 429:
                wait = BUSY
            if wait is not None:
                self.pace.hold(host, wait)
            raise FetchError(f"HTTP {answer.status}", Again.NOW, wait)
        raise FetchError(f"HTTP {answer.status}", Again.NEVER)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


def read_body(answer: http.client.HTTPResponse, limits: Limits) -> bytes:
    """The body of an answer, counted while it is read.

    Raises:
        FetchError: it has too many bytes or too few, or `limits.check` does not like it.
        OSError, http.client.HTTPException: as the network gives it.
    """
    told = answer.length  # None for a chunked answer, whose end http.client checks itself
    too_large = FetchError(f"too many bytes (above {limits.size})", Again.LATER)
    if told is not None and told > limits.size:
        raise too_large
    body = bytearray()
    checked = limits.check is None
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > limits.size:
            raise too_large
        if not checked and len(body) >= HEAD and limits.check:
            limits.check(bytes(body[:HEAD]))
            checked = True
    if told is not None and len(body) < told:
        raise FetchError("cut off", Again.NOW)
    if not checked and limits.check:
        limits.check(bytes(body[:HEAD]))
    return bytes(body)


def _retry_after(value: str | None) -> float | None:
    """Seconds from a number of them or a date (RFC 9110, 10.2.3); None where it says neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(date.timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def network_error(error: Exception, end: float) -> FetchError:
    """What an exception of the network means; `end` is the time (monotonic) at which it was cut."""
    if isinstance(error, TimeoutError) or time.monotonic() >= end:
        return FetchError("time-out", Again.NOW)
    if isinstance(error, ssl.SSLCertVerificationError):
        return FetchError(f"certificate refused ({error.verify_message})", Again.LATER)
    if isinstance(error, http.client.InvalidURL):
        return FetchError("no http address", Again.NEVER)
    if isinstance(error, http.client.IncompleteRead):
        return FetchError("cut off", Again.NOW)
    text = getattr(error, "strerror", None) or type(error).__name__
    return FetchError(f"no answer ({text})", Again.NOW)
