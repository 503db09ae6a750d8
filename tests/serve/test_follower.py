"""An alias that moves while requests are answered."""

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient

from imgcls_ray.errors import ClusterError, ModelError
from imgcls_ray.tracking.registry import Located
from serve.model.follower import Follower
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.record.meters import Meters
from serve.settings import ServeSettings
from serve.stages import Stages
from serve.web.app import build_app
from tests.serve.conftest import BrightnessBundle, picture_bytes


class Registry:
    """An alias, and what happens to who loads what it means."""

    def __init__(self) -> None:
        self.version = "1"
        self.away = False
        self.bad: set[str] = set()
        self.loaded: list[str] = []

    def find(self) -> Located:
        if self.away:
            raise ClusterError("MLflow is away.")
        return Located(Path(self.version), self.version)

    def load(self, found: Located) -> Served:
        version = str(found.version)
        self.loaded.append(version)
        if version in self.bad:
            raise ModelError("Its golden pictures differ.")
        bundle = BrightnessBundle()
        bundle.path = found.path  # type: ignore[attr-defined]
        return Served(bundle, version)  # type: ignore[arg-type]


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def predictor(registry: Registry, settings: ServeSettings) -> Predictor:
    made = Predictor(registry.load(registry.find()), settings)
    made.ready = True
    registry.loaded.clear()
    return made


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def follower(registry: Registry, predictor: Predictor, meters: Meters) -> Follower:
    return Follower(predictor.champion, meters, registry.find, registry.load)


def test_the_version_that_the_alias_is_moved_to_answers(
    registry: Registry, predictor: Predictor, follower: Follower, meters: Meters, settings: ServeSettings
) -> None:
    client = TestClient(build_app(predictor, settings, meters=meters))

    def answering() -> str:
        return str(client.post("/classify", files={"img": picture_bytes()}).json()["model"]["version"])

    follower.look()
    assert (answering(), registry.loaded) == ("1", [])
    registry.version = "2"
    follower.look()
    assert (answering(), registry.loaded) == ("2", ["2"])
    assert 'imgcls_model{arm="champion",name="brightness",version="2"} 1.0' in client.get("/metrics").text
    assert 'version="1"' not in client.get("/metrics").text
    registry.version = "1"  # which is still there
    follower.look()
    assert (answering(), registry.loaded) == ("1", ["2"])


def test_a_bad_version_is_refused_and_told_once(
    registry: Registry, predictor: Predictor, follower: Follower, meters: Meters, caplog: pytest.LogCaptureFixture
) -> None:
    registry.version = "2"
    registry.bad = {"2"}
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            follower.look()
    assert predictor.served.version == "1"
    assert [record.message for record in caplog.records] == [
        "Version 2 is refused as the champion, version 1 goes on: Its golden pictures differ."
    ]
    assert b'imgcls_versions_refused_total{arm="champion",version="2"} 1.0' in meters.page()
    registry.version = "3"
    follower.look()
    assert predictor.served.version == "3"


def test_a_refused_version_is_tried_again_less_and_less_often(
    registry: Registry, predictor: Predictor, follower: Follower
) -> None:
    registry.version, registry.bad = "2", {"2"}
    tried = []
    for look in range(100):
        follower.look()
        tried += [look] * (len(registry.loaded) - len(tried))
    assert tried == [0, 2, 5, 10, 19, 36, 69]
    registry.bad = set()
    for _ in range(33):
        follower.look()
    assert predictor.served.version == "2"
    registry.version, registry.bad = "3", {"3"}
    follower.look()
    assert registry.loaded[-1] == "3"  # another one is tried at once


def test_a_registry_that_is_away_changes_nothing(
    registry: Registry, predictor: Predictor, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    registry.away = True
    follower.look()
    follower.look()
    assert predictor.served.version == "1"
    assert len([record for record in caplog.records if "can't be followed" in record.message]) == 1
    registry.away, registry.version = False, "2"
    follower.look()
    assert predictor.served.version == "2"


def test_an_error_that_nobody_thought_of_does_not_end_it(
    predictor: Predictor, meters: Meters, registry: Registry
) -> None:
    def broken(_found: Located) -> Served:
        raise RuntimeError("odd")

    registry.version = "2"
    Follower(predictor.champion, meters, registry.find, broken).look()
    assert predictor.served.version == "1"


def test_a_request_is_answered_by_one_version_from_start_to_end(
    registry: Registry, predictor: Predictor, follower: Follower
) -> None:
    """The alias moves between the decoding and the model of a request."""
    served = predictor.served
    first = served.bundle

    class Moving:
        labels, pixels, card, path = first.labels, first.pixels, first.card, Path("1")

        def decoded(self, pictures: list[bytes]) -> object:
            registry.version = "2"
            follower.look()
            return first.decoded(pictures)

        def answers_of(self, decoded: list[np.ndarray]) -> list[np.ndarray]:
            return [np.array([1.0, 0.0], np.float32) for _ in decoded]

        def decision(self, _: np.ndarray) -> str:
            return "sure"

    predictor.champion.served = Served(Moving(), "1")  # type: ignore[arg-type]
    held = predictor.served
    [answer] = asyncio.run(predictor.classify(held, [picture_bytes(0)], Stages()))
    assert predictor.served.version == "2"
    assert getattr(answer, "label", None) == "bright"  # what version 1 says of everything; of a dark one 2 says dark


@pytest.mark.parametrize(
    ("model", "seconds", "follows"),
    [
        ("models:/m@champion", 10, True),
        ("models:/m@champion", 0, False),
        ("models:/m/3", 10, False),
        ("/b@x", 10, False),
    ],
)
def test_only_an_alias_is_followed(
    monkeypatch: pytest.MonkeyPatch, predictor: Predictor, meters: Meters, model: str, seconds: float, follows: bool
) -> None:
    from serve.model import loading

    started: list[float] = []
    monkeypatch.setattr(loading, "Follower", lambda *_: SimpleNamespace(start=started.append))
    loading.follow(predictor, ServeSettings(model=model, follow_seconds=seconds), meters)
    assert started == ([seconds] if follows else [])
