"""Pictures under open licences, found by Openverse (https://docs.openverse.org/api/)."""

import json
from typing import Any
from urllib.parse import urlencode

from imgcls_ray.data.collect.address import split_url
from imgcls_ray.data.collect.base import Candidate, Page, Provider, Row
from imgcls_ray.data.collect.client import Client, Limits
from imgcls_ray.data.collect.errors import Again, FetchError
from imgcls_ray.data.collect.settings import OPENVERSE
from imgcls_ray.errors import SettingsError, nearest

LICENSES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "cc0", "pdm", "sampling+", "nc-sampling+")
"""What Openverse calls the licences."""

PAGE_SIZE = 20
"""Pictures a page: the most that a request without a token may ask for."""
MAX_TERM = 200
"""Characters of a search term that Openverse looks at."""
SECONDS_BETWEEN = 3.0
"""Between two searches: without a token it answers 20 a minute and 200 a day."""
_MAX_BYTES = 8_000_000
_NAMES = {"cc0": "CC0", "pdm": "Public Domain Mark"}


class Openverse(Provider):
    """Asks `images/?q=TERM&page=N&page_size=20`; without a token 12 pages of a term can be seen."""

    name = "openverse"
    asks = True

    def __init__(self, client: Client, token: str | None = None, api: str = OPENVERSE, licenses: str = "") -> None:
        """`token`: an OAuth2 access token of Openverse, which allows more requests; `licenses`: codes with commas.

        Raises:
            SettingsError: an unknown licence, or `api` is no address.
        """
        self._client = client
        self._licenses = ",".join(_checked(name.strip().lower()) for name in licenses.split(",") if name.strip())
        if token is not None and not (token.isascii() and token.isprintable()):
            raise SettingsError("OPENVERSE_TOKEN must be an access token in one line; it holds other characters.")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            parts = split_url(api)
        except FetchError:
            raise SettingsError(f"The API's address begins with http:// or https://; received '{api}'.") from None
        self._api = parts._replace(query="").geturl()
        client.pace.slow(parts.netloc, SECONDS_BETWEEN if api == OPENVERSE and not token else 0.0)

    def search(self, row: Row, number: int) -> Page:
        """See Provider: one request."""
        query = {"q": row.term[:MAX_TERM], "page": str(number), "page_size": str(PAGE_SIZE)}
        if self._licenses:
            query["license"] = self._licenses
        limits = Limits(_MAX_BYTES, "application/json")
        try:
            body = self._client.get(f"{self._api}?{urlencode(query)}", limits, self._headers)
        except FetchError as error:
            if error.reason in ("HTTP 401", "HTTP 403") and self._headers:
                raise SettingsError(
                    f"OPENVERSE_TOKEN must be a valid access token; Openverse refused it ({error.reason}): get a new "
                    "one, or unset it and go on without."
                ) from error
            if error.reason in ("HTTP 400", "HTTP 401", "HTTP 404") and number > 1:
                return Page((), last=True)  # deeper than it lets us see
            raise FetchError(f"search: {error.reason}", error.again) from error
        return _page(body, number)


def _page(body: bytes, number: int) -> Page:
    try:
        document = json.loads(body)
        results, pages = document["results"], document.get("page_count")
        found = tuple(_candidate(result) for result in results if _usable(result))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FetchError("search: not Openverse's JSON", Again.LATER) from error
    return Page(found, last=not results or (isinstance(pages, int) and number >= pages))


def _usable(result: dict[str, Any]) -> bool:
    url = result.get("url")
    return isinstance(url, str) and url.lower().startswith(("http://", "https://"))


def _candidate(result: dict[str, Any]) -> Candidate:
    def text(name: str) -> str:
        value = result.get(name)
        return value if isinstance(value, str) else ""

    code = text("license").lower()
    name = _NAMES.get(code, f"CC {code.upper()}" if code else "")
    return Candidate(
        url=text("url"),
        page=text("foreign_landing_url"),
        license=f"{name} {text('license_version')}".strip(),
        license_url=text("license_url"),
        creator=text("creator"),
        title=text("title"),
    )


def _checked(name: str) -> str:
    if name not in LICENSES:
        raise SettingsError(
            f"A licence is one of {', '.join(LICENSES)}; received '{name}'{nearest(name, LICENSES) or '.'}"
        )
    return name
