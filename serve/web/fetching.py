"""Pictures that are named by their address: `{"url": "https://..."}`.

Whoever may ask the service could otherwise ask through it what only the service reaches (server-side request forgery,
CWE-918). So: https on port 443 only, no user's name in the address, no redirect, no proxy, no cookie; the host's
addresses have to be public ones, and the connection goes to one of those that were looked at, so that a name server
can't say something else a moment later (DNS rebinding). The certificate is that of the host's name.
"""

import asyncio
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult

from imgcls_ray import __version__
from imgcls_ray.data.collect.address import port_of, split_url
from imgcls_ray.data.collect.client import Limits, network_error, read_body
from imgcls_ray.data.collect.errors import FetchError
from imgcls_ray.data.collect.exchange import Exchange, Exchanges
from serve.errors import RequestRefused

AT_ONCE = 8
"""Pictures that a replica fetches at a time; each takes a thread, and up to the limit of bytes."""
MOST = 2_048
"""Signs of an address."""
_HEADERS = {
    "User-Agent": f"imgcls-ray/{__version__}",
    "Accept": "image/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Fetching:
    """Fetches pictures for requests, within the limits."""

    def __init__(self, max_bytes: int, seconds: float) -> None:
        self._limits, self._seconds = Limits(max_bytes, _HEADERS["Accept"]), seconds
        self._exchanges = Exchanges(allow_private=False, proxies=False)
        self._threads = ThreadPoolExecutor(AT_ONCE, "fetching")
        self._places = threading.Semaphore(AT_ONCE)

    async def picture(self, url: str) -> bytes:
        """The bytes at an address.

        Raises:
            RequestRefused: 422 an address that may not be asked, 413 too many bytes, 502 an answer without a picture or
                none, 503 too many are fetched, 504 not in time.
        """
        parts = _checked(url)
        if not self._places.acquire(blocking=False):
            raise RequestRefused(503, f"{AT_ONCE} pictures are being fetched already; try again in a moment.")
        work = self._threads.submit(self._fetch, parts)
        # A thread that looks up a name can't be cut; its place is free when it has ended, not when the answer has gone.
        work.add_done_callback(lambda _: self._places.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), self._seconds)
        except TimeoutError:
            raise self._late() from None

    def _fetch(self, parts: SplitResult) -> bytes:
        end = time.monotonic() + self._seconds
        late: threading.Event | None = None
        try:
            with self._exchanges.get(parts, _HEADERS, self._seconds) as exchange:
                late = exchange.late
                return self._picture(exchange)
        except FetchError as error:
            raise (self._late() if late is not None and late.is_set() else self._refused(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._refused(network_error(error, end)) from error

    def _picture(self, exchange: Exchange) -> bytes:
        answer = exchange.answer
        if answer.status != 200:
            redirect = "; a redirect is not followed" if 300 <= answer.status < 400 else ""
            raise RequestRefused(502, f"The server of 'url' answers with 200; received {answer.status}{redirect}.")
        if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise RequestRefused(502, "The server of 'url' sends the picture as it is, not compressed once more.")
        return read_body(answer, self._limits)

    def _refused(self, error: FetchError) -> RequestRefused:
        cause = error.reason.partition(" (")[0]
        if cause in ("unknown host", "private address"):  # one sentence: which names a network has is its own affair
            return RequestRefused(422, "'url' names a host with a public address; this one has none.")
        if cause == "too many bytes":
            return RequestRefused(413, f"A picture at a 'url' may have at most {self._limits.size:,} bytes.")
        if cause == "time-out":
            return self._late()
        return RequestRefused(502, f"The picture at 'url' can't be fetched: {error.reason}.")

    def _late(self) -> RequestRefused:
        return RequestRefused(504, f"The picture at 'url' did not arrive within {self._seconds:g} s.")


def _checked(url: str) -> SplitResult:
    # The sentence does not repeat the address, which may hold a password or a token and would stand in the log.
    rule = (
        f"'url' begins with https://, has port 443, no user's name and at most {MOST} signs; this one breaks that rule."
    )
    if len(url) > MOST:
        raise RequestRefused(422, rule)
    try:
        parts = split_url(url)
    except FetchError as error:
        raise RequestRefused(422, rule) from error
    if parts.scheme != "https" or port_of(parts) != 443:
        raise RequestRefused(422, rule)
    return parts
