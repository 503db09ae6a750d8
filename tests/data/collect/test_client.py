import email.utils
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import SplitResult

import pytest

from imgcls_ray.data.collect import Client
from imgcls_ray.data.collect.client import Limits
from imgcls_ray.data.collect.errors import Again, FetchError, Stopped
from imgcls_ray.data.collect.folder import check_head
from imgcls_ray.data.collect.pace import GIVE_UP
from tests.data.collect.server import Server, jpeg

LIMITS = Limits(1_000_000, "image/*", check_head)


def refused(client: Client, url: str) -> FetchError:
    with pytest.raises(FetchError) as raised:
        client.get(url, LIMITS)
    return raised.value


def test_a_picture_comes_as_it_is(server: Server, client: Client) -> None:
    assert client.get(server.url + "/pic/3.jpg", LIMITS) == jpeg(3)
    assert client.get(server.url + "/pic/moved.jpg?x=ü y", LIMITS) == jpeg(1)
    assert server.asked[1:] == ["/pic/moved.jpg?x=%C3%BC%20y", "/pic/1.jpg"]


def test_it_says_who_it_is(server: Server, clients: Callable[..., Client]) -> None:
    clients(contact="ann@example.org").get(server.url + "/pic/1.jpg", LIMITS, {"Authorization": "Bearer x"})
    headers = server.headers[0]
    assert headers["User-Agent"].startswith("imgcls-ray/")
    assert headers["User-Agent"].endswith("; ann@example.org)")
    assert (headers["Authorization"], headers["Accept"]) == ("Bearer x", "image/*")


def test_a_token_is_not_sent_on_to_another_host(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as other:
        monkeypatch.setitem(server.refusals, "/pic/away.jpg", 1)
        monkeypatch.setattr(server, "refusal", (302, {"Location": other.url + "/pic/1.jpg"}))
        client.get(server.url + "/pic/away.jpg", LIMITS, {"Authorization": "Bearer x"})
        assert "Authorization" in server.headers[0]
        assert "Authorization" not in other.headers[0]


def test_a_token_is_not_sent_in_the_clear_after_a_detour(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    way = iter(["https://other.example/", "http://api.example/", b"body"])
    sent: list[tuple[str, dict[str, str]]] = []

    def exchange(parts: SplitResult, _limits: Limits, headers: dict[str, str], _end: float) -> bytes | str:
        sent.append((parts.geturl(), headers))
        return next(way)

    monkeypatch.setattr(client, "_exchange", exchange)
    token = {"Authorization": "Bearer x"}
    assert client.get("https://api.example/", LIMITS, token) == b"body"
    assert sent == [("https://api.example/", token), ("https://other.example/", {}), ("http://api.example/", {})]


@pytest.mark.parametrize(
    ("path", "reason", "again", "requests"),
    [
        ("/pic/page.jpg", "not a picture", Again.NEVER, 1),
        ("/pic/empty.jpg", "empty file", Again.NEVER, 1),
        ("/pic/gone.jpg", "HTTP 410", Again.NEVER, 1),
        ("/nothing", "HTTP 404", Again.NEVER, 1),
        ("/pic/broken.jpg", "HTTP 500", Again.LATER, 2),
        ("/pic/huge.jpg", "too many bytes (above 1000000)", Again.LATER, 1),
        ("/pic/endless.jpg", "too many bytes (above 1000000)", Again.LATER, 1),
        ("/pic/slow.jpg", "time-out", Again.LATER, 2),
        ("/pic/cut.jpg", "cut off", Again.LATER, 2),
        ("/pic/cut-chunks.jpg", "cut off", Again.LATER, 2),
        ("/pic/file.jpg", "redirect to no http address", Again.NEVER, 1),
        ("/pic/round.jpg", "too many redirects", Again.NEVER, 6),
    ],
)
def test_a_bad_answer_has_its_reason(
    server: Server, clients: Callable[..., Client], path: str, reason: str, again: Again, requests: int
) -> None:
    error = refused(clients(timeout=0.4) if "slow" in path else clients(timeout=20), server.url + path)
    assert (error.reason, error.again) == (reason, again)
    assert len(server.asked) == requests


@pytest.mark.parametrize("wait", ["1", "date"])
def test_a_busy_server_is_asked_again_when_it_says(server: Server, client: Client, wait: str) -> None:
    value = wait if wait == "1" else email.utils.formatdate(time.time() + 2, usegmt=True)
    server.refusal = (429, {"Retry-After": value})
    assert client.get(server.url + "/pic/busy.jpg", LIMITS) == jpeg(0)
    assert len(server.times) == 2
    assert server.times[1] - server.times[0] >= (0.99 if wait == "1" else 0.5)


def test_a_busy_server_that_names_no_time_is_left_alone_for_a_moment(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcls_ray.data.collect.client.BUSY", 0.3)
    server.refusal = (429, {})
    assert client.get(server.url + "/pic/busy.jpg", LIMITS) == jpeg(0)
    assert server.times[1] - server.times[0] >= 0.29


def test_a_server_that_asks_for_too_long_is_left_alone(server: Server, client: Client) -> None:
    assert refused(client, server.url + "/pic/later.jpg").reason.startswith("host asks to wait (127.0.0.1:")
    assert refused(client, server.url + "/pic/1.jpg").reason.startswith("host asks to wait")
    assert server.asked == ["/pic/later.jpg"]


def test_a_pace_per_host_holds_for_all_threads(server: Server, clients: Callable[..., Client]) -> None:
    client = clients(rate=10)
    threads = [
        threading.Thread(target=client.get, args=(f"{server.url}/pic/{number}.jpg", LIMITS)) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.times) == 6
    assert max(server.times) - min(server.times) >= 0.45


def test_a_host_that_never_answers_is_given_up(client: Client) -> None:
    with socket.socket() as taken:  # bound but not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/1.jpg"
        reasons = [refused(client, url).reason.partition(" (")[0] for _ in range(GIVE_UP)]
    assert reasons[0] == "no answer"
    assert reasons[-1] == "host does not answer"


def test_private_addresses_are_refused(server: Server, clients: Callable[..., Client]) -> None:
    client = clients(allow_private=False)
    assert refused(client, server.url + "/pic/1.jpg").reason == "private address (127.0.0.1)"
    assert refused(client, f"http://localhost:{server.port}/pic/1.jpg").reason == "private address (localhost)"
    assert server.asked == []


def test_a_redirect_to_a_private_address_is_refused(
    server: Server, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcls_ray.data.collect.address.may_be_asked", lambda address: address == "127.0.0.1")
    client = clients(allow_private=False)
    assert client.get(server.url + "/pic/1.jpg", LIMITS) == jpeg(1)
    assert refused(client, server.url + "/pic/private.jpg").reason == "private address (127.0.0.2)"


def test_a_server_without_a_certificate_is_refused(client: Client) -> None:
    with Server() as plain:
        assert refused(client, f"https://127.0.0.1:{plain.port}/pic/1.jpg").reason.startswith("no answer")
        assert plain.asked == []


def test_stopping_ends_what_is_under_way(server: Server, clients: Callable[..., Client]) -> None:
    client = clients(timeout=60)
    server.gate = threading.Event()
    outcome: list[BaseException] = []

    def fetch() -> None:
        try:
            client.get(server.url + "/pic/1.jpg", LIMITS)
        except Stopped as stopped:
            outcome.append(stopped)

    thread = threading.Thread(target=fetch)
    thread.start()
    while not server.asked:
        time.sleep(0.01)
    client.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert len(outcome) == 1
    with pytest.raises(Stopped):
        client.get(server.url + "/pic/1.jpg", LIMITS)


def test_a_proxy_of_the_environment_is_used(
    server: Server, monkeypatch: pytest.MonkeyPatch, clients: Callable[..., Client]
) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://ann:secret@"))
    monkeypatch.setenv("no_proxy", "")
    assert clients().get("http://pictures.invalid/pic/5.jpg", LIMITS) == jpeg(5)
    assert server.asked == ["http://pictures.invalid/pic/5.jpg"]
    assert server.headers[0]["Proxy-Authorization"] == "Basic YW5uOnNlY3JldA=="
