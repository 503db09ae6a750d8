"""The load generator of the benchmarks, against a server that misbehaves by plan."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from _load import CUT, TIMED_OUT, Load, form, measure, quantile

PICTURE = b"\xff\xd8 a picture\r\n--"
TOKEN = b"200 OK"


class Server:
    """Answers the nth request with the status `plan(n)`; None is no answer, b"" the end of the connection."""

    def __init__(self) -> None:
        self.plan: Callable[[int], bytes | None] = lambda _: TOKEN
        self.bodies: list[bytes] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                status = self.plan(len(self.bodies))
                if status == b"":
                    break
                if status is not None:
                    writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the generator has ended
        finally:
            writer.close()


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    made, loop = Server(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(made.connected, "127.0.0.1", 0), loop).result(30)
    yield made, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"

    async def end() -> None:
        listening.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def test_a_form_is_what_curl_sends() -> None:
    kind, body = form(PICTURE)
    (part,) = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    assert part.get_param("name", header="content-disposition") == "img"
    assert part.get_filename() == "picture.jpg"
    assert body.count(PICTURE) == 1


def test_a_closed_loop_has_no_more_requests_under_way_than_connections(server: tuple[Server, str]) -> None:
    made, url = server
    measured = measure(Load(url, PICTURE, connections=2, seconds=0.3, warm=0, keep_bodies=True))
    assert measured.statuses == {200: len(made.bodies)}
    assert {answer.body for answer in measured.answers} == {b"{}"}
    assert set(made.bodies) == {form(PICTURE)[1]}
    assert 0 < measured.p50 <= measured.p99


def test_an_open_loop_sends_what_is_due(server: tuple[Server, str]) -> None:
    made, url = server
    measured = measure(Load(url, PICTURE, connections=4, seconds=0.5, warm=0, rate=100))
    assert len(made.bodies) == len(measured.answers) <= 50
    assert measured.statuses == {200: len(made.bodies)}


def test_what_fails_is_counted_by_status(server: tuple[Server, str]) -> None:
    made, url = server
    made.plan = lambda number: {1: b"500 Broken", 2: b"503 Busy", 3: b"", 4: None}.get(number, TOKEN)
    measured = measure(Load(url, PICTURE, connections=1, seconds=2, warm=0, timeout=1.5))
    assert [answer.status for answer in measured.answers[:4]] == [500, 503, CUT, TIMED_OUT]
    assert {answer.status for answer in measured.answers[4:]} <= {200}


def test_what_was_cut_or_refused_is_tried_again(server: tuple[Server, str]) -> None:
    made, url = server
    made.plan = lambda number: {1: b"503 Busy", 3: b"", 5: b"500 Broken"}.get(number, TOKEN)
    measured = measure(Load(url, PICTURE, connections=1, seconds=0.3, warm=0, retries=1))
    assert [(answer.status, answer.tries) for answer in measured.answers[:3]] == [(200, 2), (200, 2), (500, 1)]


def test_quantiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.99)) == (51, 100, 7)
