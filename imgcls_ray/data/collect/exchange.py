"""One HTTP request and its answer, with an end to its time that no slow server can move."""

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from imgcls_ray.data.collect.address import connect, port_of, resolve
from imgcls_ray.data.collect.errors import FetchError

SILENCE = 20.0
"""Seconds without a byte after which a connection is given up."""


@dataclass(frozen=True)
class Exchange:
    """An answer whose head has been read, its body not."""

    answer: http.client.HTTPResponse
    late: threading.Event
    """Set when the time was up and the connection was cut: what was read then may be half."""


class Exchanges:
    """Opens exchanges, and can cut all that are open. TLS is verified."""

    def __init__(self, allow_private: bool, proxies: bool = True) -> None:
        """`proxies`: whether those of the environment are used; a proxy looks names up again by itself."""
        self._allow_private = allow_private
        self._tls = ssl.create_default_context()
        self._proxies = getproxies() if proxies else {}
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut_all(self) -> None:
        """End every exchange that is under way; its thread gets an OSError or the end of the answer."""
        with self._lock:
            for sock in self._open:
                _cut(sock)

    @contextmanager
    def get(self, parts: SplitResult, headers: dict[str, str], seconds: float) -> Iterator[Exchange]:
        """Send a GET and leave the body to be read, all within `seconds`.

        Raises:
            FetchError: the address may not be asked.
            OSError, http.client.HTTPException: as the network gives it.
        """
        end = time.monotonic() + seconds
        proxy = self._proxy(parts)
        connection = self._dial_proxy(parts, proxy, seconds) if proxy else self._dial(parts, seconds)
        sock: socket.socket = connection.sock
        late = threading.Event()

        def time_is_up() -> None:
            late.set()
            _cut(sock)

        timer = threading.Timer(max(end - time.monotonic(), 0.0), time_is_up)
        timer.daemon = True
        with self._lock:
            self._open.add(sock)
        timer.start()
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            plain = proxy and parts.scheme == "http"
            target = parts.geturl() if plain else parts._replace(scheme="", netloc="").geturl()
            connection.request("GET", target, headers={**headers, **(proxy.headers if plain and proxy else {})})
            with connection.getresponse() as answer:
                yield Exchange(answer, late)
        finally:
            timer.cancel()
            with self._lock:
                self._open.discard(sock)
            connection.close()
            sock.close()

    def _dial(self, parts: SplitResult, seconds: float) -> http.client.HTTPConnection:
        host, port, silence = str(parts.hostname), port_of(parts), min(seconds, SILENCE)
        sock = connect(resolve(host, port, self._allow_private), port, silence)
        if parts.scheme == "https":
            # The handshake comes later, when the clock watches over it.
            sock = self._tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, port)
        connection.sock = sock  # so that it does not connect by itself, to an address that was not checked
        return connection

    def _dial_proxy(self, parts: SplitResult, proxy: "_Proxy", seconds: float) -> http.client.HTTPConnection:
        host, port, silence = str(parts.hostname), port_of(parts), min(seconds, SILENCE)
        try:
            resolve(host, port, self._allow_private)
        except FetchError as error:
            if not error.reason.startswith("unknown host"):  # behind a proxy often only the proxy knows names
                raise
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                proxy.host, proxy.port, timeout=silence, context=self._tls
            )
            connection.set_tunnel(host, port, proxy.headers)
        else:
            connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=silence)
        connection.connect()
        return connection

    def _proxy(self, parts: SplitResult) -> "_Proxy | None":
        url = self._proxies.get(parts.scheme)
        if not url or proxy_bypass(parts.netloc):
            return None
        proxy = urlsplit(url if "://" in url else f"http://{url}")
        user = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
        headers = {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if proxy.username else {}
        return _Proxy(proxy.hostname or "", proxy.port or 3128, headers)


@dataclass(frozen=True)
class _Proxy:
    host: str
    port: int
    headers: dict[str, str]


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        sock.shutdown(socket.SHUT_RDWR)
