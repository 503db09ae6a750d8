"""What every provider keeps to, and what Openverse's does besides."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from imgcls_ray.data.collect import Candidate, Client, Openverse, Page, Provider, Row, UrlLists
from imgcls_ray.data.collect.errors import FetchError
from imgcls_ray.data.collect.record import JsonLines
from imgcls_ray.data.collect.searches import KeptSearches
from imgcls_ray.errors import SettingsError
from tests.data.collect.server import Server

ROW = Row(2, "red rose", 50, "roses", None)
NOTHING = Row(3, "nothing", 50, "tulips", None)
PATHS = [f"/pic/{number}.jpg" for number in range(45)]


@pytest.fixture(params=["urls", "openverse", "kept"])
def provider(request: pytest.FixtureRequest, server: Server, client: Client, tmp_path: Path) -> Iterator[Provider]:
    """Each kind, with 45 pictures of ROW and none of NOTHING."""
    server.found = {ROW.term: PATHS}
    if request.param == "urls":
        yield UrlLists({ROW.key: tuple(Candidate(server.url + path) for path in PATHS)})
        return
    openverse = Openverse(client, api=f"{server.url}/v1/images/")
    if request.param == "openverse":
        yield openverse
        return
    with JsonLines(tmp_path / "searches.jsonl") as file:
        yield KeptSearches(openverse, file, "")


def all_pages(provider: Provider, row: Row) -> list[Page]:
    pages = [provider.search(row, 1)]
    while not pages[-1].last:
        pages.append(provider.search(row, len(pages) + 1))
        assert len(pages) < 100
    return pages


def test_pages_end_and_hold_each_picture_once(provider: Provider, server: Server) -> None:
    found = [candidate for page in all_pages(provider, ROW) for candidate in page.candidates]
    assert [candidate.url for candidate in found] == [server.url + path for path in PATHS]


def test_an_unknown_term_is_an_empty_last_page(provider: Provider) -> None:
    assert all_pages(provider, NOTHING) == [Page((), last=True)]


def test_a_page_after_the_last_is_empty_and_last(provider: Provider) -> None:
    assert provider.search(ROW, 20) == Page((), last=True)


def test_it_answers_the_same_each_time(provider: Provider) -> None:
    assert provider.search(ROW, 1) == provider.search(ROW, 1)


def test_only_one_that_asks_sends_requests(provider: Provider, server: Server) -> None:
    all_pages(provider, ROW)
    assert bool(server.asked) is provider.asks
    assert provider.name in ("urls", "openverse")


def test_openverse_is_asked_as_its_documentation_says(server: Server, client: Client) -> None:
    server.found = {"rose": PATHS}
    page = Openverse(client, None, f"{server.url}/v1/images/", "by, CC0").search(Row(2, "rose", 1, "r", None), 2)
    query = parse_qs(urlsplit(server.asked[0]).query)
    assert query == {"q": ["rose"], "page": ["2"], "page_size": ["20"], "license": ["by,cc0"]}
    assert "Authorization" not in server.headers[0]
    assert page.candidates[0] == Candidate(
        url=f"{server.url}/pic/20.jpg",
        page="https://pictures.example/pic/20.jpg",
        license="CC BY 2.0",
        license_url="https://creativecommons.org/licenses/by/2.0/",
        creator="Ann, Ö.",
        title="Picture /pic/20.jpg",
    )


def test_openverse_takes_a_token_and_says_when_it_is_refused(server: Server, client: Client) -> None:
    server.token, server.found = "abc", {"red rose": PATHS}
    api = f"{server.url}/v1/images/"
    assert len(Openverse(client, "abc", api).search(ROW, 1).candidates) == 20
    with pytest.raises(SettingsError, match="OPENVERSE_TOKEN"):
        Openverse(client, "abd", api).search(ROW, 1)
    with pytest.raises(FetchError, match="search: HTTP 401"):
        Openverse(client, None, api).search(ROW, 1)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"results": 3}', '{"results": ["a"]}', "[" * 100_000])
def test_what_is_not_openverse_is_told(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(client, "get", lambda *_args: body.encode())
    with pytest.raises(FetchError, match="search: not Openverse's JSON"):
        Openverse(client, api=f"{server.url}/v1/images/").search(ROW, 1)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"licenses": "by,bysa"}, r"received 'bysa'; did you mean 'by-sa'\?"),
        ({"api": "openverse.org"}, "begins with http"),
        ({"token": "a\nb"}, "in one line"),
    ],
)
def test_settings_that_openverse_can_not_have(client: Client, settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Openverse(client, **settings)


def test_the_real_openverse_is_asked_slowly_without_a_token(
    clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients()
    slowed: list[tuple[str, float]] = []
    monkeypatch.setattr(client.pace, "slow", lambda *said: slowed.append(said))
    Openverse(client)
    Openverse(client, "token")
    assert slowed == [("api.openverse.org", 3.0), ("api.openverse.org", 0.0)]


def test_kept_pages_are_not_asked_again(server: Server, client: Client, tmp_path: Path) -> None:
    server.found = {"red rose": PATHS}
    openverse = Openverse(client, api=f"{server.url}/v1/images/")
    for what, requests in (("", 3), ("", 3), ("by", 6)):
        with JsonLines(tmp_path / "searches.jsonl") as file:
            pages = all_pages(KeptSearches(openverse, file, what), ROW)
        assert sum(len(page.candidates) for page in pages) == 45
        assert len(server.asked) == requests
    text = (tmp_path / "searches.jsonl").read_text()
    (tmp_path / "searches.jsonl").write_text(
        text.replace('"time": "20', '"time": "19').replace('"last": true', '"last": 1')
    )
    with JsonLines(tmp_path / "searches.jsonl") as file:
        all_pages(KeptSearches(openverse, file, ""), ROW)
    assert len(server.asked) == 9
