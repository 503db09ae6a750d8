"""A server on loopback with pictures, an API like Openverse's, and every way in which an answer can be bad."""

import functools
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

HTML = b"<!doctype html><title>Not here</title>" + b"x" * 200


@functools.cache
def jpeg(number: int, size: tuple[int, int] = (48, 64)) -> bytes:
    """A small noisy picture; each number has its own."""
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


class Server:
    """Serves in threads while it is entered; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Paths with their queries, in order."""
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.refusals = Counter({"/pic/busy.jpg": 1})
        """Path -> how often it still answers `refusal`."""
        self.refusal = (429, {"Retry-After": "0"})
        self.found: dict[str, list[str]] = {}
        """Search term -> paths of its pictures."""
        self.page_size = 20
        self.token: str | None = None
        """If set, the API refuses others."""
        self.gate: threading.Event | None = None
        """If set, pictures wait for it."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pictures_asked(self) -> list[str]:
        return [path for path in self.asked if path.startswith("/pic/")]

    def __enter__(self) -> "Server":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.headers.append(dict(self.headers))
                outer.times.append(time.monotonic())
                outer._answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.gate:
            self.gate.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        if self.refusals[path] > 0:
            self.refusals[path] -= 1
            status, headers = self.refusal
            send(handler, status, b"no", **headers)
        elif path == "/v1/images/":
            self._search(handler)
        elif path in BAD:
            BAD[path](handler)
        elif path.startswith("/pic/"):
            if self.gate and self.gate.wait(20) is None:
                return
            name = path.removeprefix("/pic/").partition(".")[0]
            send(handler, 200, jpeg(int(name) if name.isdecimal() else 0), **{"Content-Type": "image/jpeg"})
        else:
            send(handler, 404, HTML)

    def _search(self, handler: BaseHTTPRequestHandler) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            send(handler, 401, b'{"detail": "Invalid token."}')
            return
        paths = self.found.get(query["q"], [])
        size = min(int(query["page_size"]), self.page_size)
        start = (int(query["page"]) - 1) * size
        results = [
            self._result(path, query.get("license", "by").partition(",")[0]) for path in paths[start : start + size]
        ]
        document = {
            "result_count": len(paths),
            "page_count": -(-len(paths) // size),
            "page_size": size,
            "page": int(query["page"]),
            "results": results,
        }
        send(handler, 200, json.dumps(document).encode(), **{"Content-Type": "application/json"})

    def _result(self, path: str, license_: str) -> dict[str, object]:
        return {
            "id": path,
            "title": f"Picture {path}",
            "url": path if "://" in path else self.url + path,
            "foreign_landing_url": f"https://pictures.example/{path.strip('/')}",
            "creator": "Ann, Ö.",
            "license": license_,
            "license_version": "2.0",
            "license_url": f"https://creativecommons.org/licenses/{license_}/2.0/",
            "tags": [],
            "mature": False,
        }


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    try:
        handler.wfile.write(body)
    except OSError:
        handler.close_connection = True  # the client has seen enough


def redirect(target: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, 302, b"", Location=target)


def _slow(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: each arrives in time, the picture never."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for byte in jpeg(0)[:200]:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


def _huge_chunks(handler: BaseHTTPRequestHandler) -> None:
    """No length is told, and no end comes."""
    handler.send_response(200)
    handler.end_headers()
    try:
        handler.wfile.write(jpeg(0))
        for _ in range(1000):
            handler.wfile.write(b"x" * 100_000)
    except OSError:
        handler.close_connection = True


def _cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(jpeg(0))))
    handler.end_headers()
    handler.wfile.write(jpeg(0)[:-500])
    handler.close_connection = True


def _cut_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"400\r\n" + jpeg(0)[:1000])
    handler.close_connection = True


BAD: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "/pic/page.jpg": lambda handler: send(handler, 200, HTML, **{"Content-Type": "image/jpeg"}),
    "/pic/empty.jpg": lambda handler: send(handler, 200, b""),
    "/pic/half.jpg": lambda handler: send(handler, 200, jpeg(0)[:1500]),
    "/pic/icon.jpg": lambda handler: send(handler, 200, jpeg(0, (8, 8))),
    "/pic/gone.jpg": lambda handler: send(handler, 410, b"gone"),
    "/pic/broken.jpg": lambda handler: send(handler, 500, b"broken"),
    "/pic/later.jpg": lambda handler: send(handler, 429, b"", **{"Retry-After": "86400"}),
    "/pic/huge.jpg": lambda handler: send(handler, 200, jpeg(0) + b"\0" * 2_000_000),
    "/pic/endless.jpg": _huge_chunks,
    "/pic/slow.jpg": _slow,
    "/pic/cut.jpg": _cut,
    "/pic/cut-chunks.jpg": _cut_chunks,
    "/pic/file.jpg": redirect("file:///etc/hostname"),
    "/pic/private.jpg": redirect("http://127.0.0.2:9/secret.jpg"),
    "/pic/round.jpg": redirect("/pic/round.jpg"),
    "/pic/moved.jpg": redirect("1.jpg#here"),
}
