"""A server to collect from, and settings under which that is quick."""

from collections.abc import Callable, Iterator

import pytest

from imgcls_ray.data.collect import Client, CollectSettings
from tests.data.collect.server import Server

QUICK = CollectSettings(allow_private=True, rate=100, retries=1, timeout=1.0, max_mb=1, max_wait=5)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcls_ray.data.collect.client.BACKOFF", 0.01)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    running = Client(QUICK)
    yield running
    running.stop()


@pytest.fixture
def clients() -> Iterator[Callable[..., Client]]:
    """Make a client with other settings: `clients(rate=5)`."""
    made: list[Client] = []

    def make(**settings: object) -> Client:
        made.append(Client(QUICK.model_copy(update=settings)))
        return made[-1]

    yield make
    for running in made:
        running.stop()
