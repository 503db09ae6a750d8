"""A client of a running service: what `imgcls serve` answers, as Python objects. It loads neither Ray nor TensorFlow.

from imgcls_ray.client import Client

with Client("http://127.0.0.1:8000") as client:
    print(client.classify("rose.jpg").predictions[0])
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from imgcls_ray.errors import ClusterError, DataError, InputError, SettingsError
from imgcls_ray.use.answer import Answer

_BUSY = (429, 503)
"""Answers that a moment changes; they say after how many seconds."""
_LONGEST = 30.0


class ServiceRefused(InputError):
    """The service refused a request; the message is its own sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One service. Connections are kept; use it as a context, or `close` it. Safe to use from several threads."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        timeout: float = 60.0,
        tries: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: of the service, without a path of its own; behind a proxy its prefix.
            key: API key, where the service asks for one.
            timeout: seconds for each try.
            tries: how often a request is sent that the service is too busy for; in between it waits as long as the
                service says.
            transport: of httpx, for tests.

        Raises:
            SettingsError: `url` is none, or `key` is no key.
        """
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"A service's address starts with http:// or https://; received {url!r}.")
        self._url, self._tries = url.rstrip("/"), max(1, tries)
        if key and not (key.isascii() and key.isprintable()):
            raise SettingsError("An API key is made of ASCII characters; received one that is not: copy it again.")
        headers = {"X-API-Key": key} if key else {}
        self._http = httpx.Client(headers=headers, timeout=timeout, transport=transport, trust_env=False)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def classify(self, picture: str | Path | bytes, top: int | None = None) -> Answer:
        """The classes of a picture, a file or its bytes; all of them, or the `top` likeliest.

        What is no picture gives an answer with an `error`, as `api.classify` does.

        Raises:
            DataError: the file can't be read.
            ServiceRefused: the service takes no such request; with 401 the key is wrong.
            ClusterError: there is no service at the address, or it stays too busy.
        """
        name, data = _read(picture)
        try:
            found = self._object("POST", "/classify", {"top_k": top} if top else {}, data)
        except ServiceRefused as error:
            if error.status in (400, 413):
                return Answer(name, [], str(error))
            raise
        return Answer(name, found["predictions"], decision=found["decision"])

    def explain(self, picture: str | Path | bytes, label: str | None = None) -> bytes:
        """A PNG of the picture with its heat map: what speaks for its answer, or for the class `label`.

        Raises:
            DataError, ServiceRefused, ClusterError: as `classify`; `ServiceRefused` too for what is no picture.
        """
        return self._ask("POST", "/explain", {"label": label} if label else {}, _read(picture)[1]).content

    def labels(self) -> list[str]:
        """The classes, in the order of scores."""
        return list(self._object("GET", "/labels")["labels"])

    def model(self) -> dict[str, Any]:
        """Name, version, number of classes and picture size of the model that answers."""
        return self._object("GET", "/model")

    def _object(self, *asked: Any) -> dict[str, Any]:
        """The JSON of an answer; a page of something else at the address has none."""
        got = self._ask(*asked)
        try:
            found = got.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ClusterError(f"What answers at {self._url} is no service of imgcls: it sends no JSON.")
        return found

    def _ask(
        self, method: str, path: str, params: dict[str, Any] | None = None, body: bytes | None = None
    ) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"} if body is not None else {}
        for number in range(1, self._tries + 1):
            try:
                got = self._http.request(method, self._url + path, params=params, content=body, headers=headers)
            except httpx.InvalidURL as error:
                raise SettingsError(
                    f"A service's address is http://HOST:PORT; received {self._url!r}: {error}."
                ) from error
            except httpx.TransportError as error:
                # A replica ended with the request in work; to ask twice does no harm.
                if isinstance(error, httpx.RemoteProtocolError) and number < self._tries:
                    continue
                reason = str(error) or type(error).__name__
                raise ClusterError(f"No service answers at {self._url}: {reason}.") from error
            if got.is_success:
                return got
            if got.has_redirect_location:
                place = got.headers["location"]
                raise ServiceRefused(
                    got.status_code, f"{self._url} sends to {place!r}: give the service's own address."
                )
            if got.status_code not in _BUSY:
                raise ServiceRefused(got.status_code, _sentence(got, self._url))
            if number < self._tries:
                time.sleep(min(_seconds(got), _LONGEST))
        raise ClusterError(
            f"The service at {self._url} stays busy after {self._tries} tries: {_sentence(got, self._url)}"
        )


def _read(picture: str | Path | bytes) -> tuple[str, bytes]:
    if isinstance(picture, bytes):
        return "", picture
    try:
        return str(picture), Path(picture).read_bytes()
    except OSError as error:
        raise DataError(f"The picture can't be read: {picture}: {error.strerror or error}.") from error


def _sentence(got: httpx.Response, url: str) -> str:
    try:
        return str(got.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"What answers at {url} is no service of imgcls: status {got.status_code}."


def _seconds(got: httpx.Response) -> float:
    text = got.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 1.0
