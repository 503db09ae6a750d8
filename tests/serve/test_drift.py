"""A service that is asked about other pictures than its model was tested on."""

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from imgcls_ray.evaluation.drift import fit_reference
from imgcls_ray.inference.reference import Reference
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.record.drift import LEAST
from serve.record.window import Window
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import BrightnessBundle, picture_bytes
from tests.serve.test_watch import figures


class WithReference(BrightnessBundle):
    """Its features are the mean brightness and a constant."""

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self.reference = reference  # type: ignore[assignment]
        self.path = Path("nowhere")

    def _answer(self, bright: float) -> np.ndarray:
        return rows(np.array([bright]))[0]


def rows(bright: np.ndarray) -> np.ndarray:
    return np.stack([bright, 1 - bright, bright, np.full_like(bright, 3)], axis=1).astype(np.float32)


def brightness(seed: int, count: int, mean: float = 120) -> list[int]:
    return np.random.default_rng(seed).normal(mean, 40, count).clip(0, 255).astype(int).tolist()


@pytest.fixture(scope="module")
def reference() -> Reference:
    held_out = rows(np.array(brightness(0, 300)) / 255)
    found = fit_reference(held_out[:, :2], held_out[:, 2:])
    assert found
    return found


@pytest.fixture
def predictor(reference: Reference, settings: ServeSettings) -> Predictor:
    made = Predictor(Served(WithReference(reference), "3"), settings)  # type: ignore[arg-type]
    made.ready = True
    return made


@pytest.fixture
def client(predictor: Predictor, settings: ServeSettings) -> TestClient:
    return TestClient(build_app(predictor, settings.model_copy(update={"drift_window": 100})))


def ask(client: TestClient, seed: int, count: int, mean: float = 120) -> None:
    values = brightness(seed, count, mean)
    for start in range(0, count, 4):
        client.post("/classify", files=[("img", picture_bytes(value)) for value in values[start : start + 4]])


def test_pictures_like_the_held_out_ones_are_steady_and_others_drift(client: TestClient) -> None:
    empty = client.get("/drift").json()
    assert (empty["state"], empty["pictures"], empty["since"], empty["distances"]) == ("too_few", 0, None, {})
    ask(client, 1, LEAST - 2)
    assert client.get("/drift").json()["state"] == "too_few"
    assert ("imgcls_drift_distance", "embedding", "3") not in figures(client)
    ask(client, 2, 60)
    steady = client.get("/drift").json()
    assert (steady["state"], steady["pictures"], steady["reference_pictures"]) == ("steady", 100, 300)
    assert set(steady["distances"]) == {"labels", "confidence", "embedding"}
    ask(client, 3, 100, mean=170)
    found = client.get("/drift").json()
    assert (found["state"], found["pictures"], found["model"]["version"]) == ("drift", 100, "3")
    assert found["distances"]["embedding"]["drifted"]
    assert found["labels"]["bright"]["now"] > 0.75 > found["labels"]["bright"]["reference"]
    told = figures(client)
    assert told["imgcls_drift_pictures", "3"] == 100
    one = found["distances"]["embedding"]
    assert told["imgcls_drift_distance", "embedding", "3"] == pytest.approx(one["distance"])
    assert told["imgcls_drift_limit", "embedding", "3"] == pytest.approx(one["limit"])


def test_the_window_begins_anew_with_each_version_that_takes_over(
    client: TestClient, predictor: Predictor, reference: Reference
) -> None:
    ask(client, 1, 8)
    first = predictor.served
    predictor.champion.served = Served(WithReference(reference), "4")  # type: ignore[arg-type]
    found = client.get("/drift").json()
    assert (found["model"]["version"], found["pictures"]) == ("4", 0)
    ask(client, 1, 4)
    assert client.get("/drift").json()["pictures"] == 4
    predictor.champion.served = first  # after a rollback what it answered before is long ago
    ask(client, 1, 8)
    assert client.get("/drift").json()["pictures"] == 8
    assert [key for key in figures(client) if key[0] == "imgcls_drift_pictures"] == [("imgcls_drift_pictures", "3")]


def test_a_bundle_without_statistics_says_so(settings: ServeSettings) -> None:
    predictor = Predictor(Served(BrightnessBundle(), "1"), settings)  # type: ignore[arg-type]
    client = TestClient(build_app(predictor, settings))
    ask(client, 1, 4)
    found = client.get("/drift").json()
    assert (found["state"], found["distances"], found["labels"]) == ("no_reference", {}, {})
    assert "imgcls_drift_distance{" not in client.get("/metrics").text


def test_a_window_holds_the_newest_pictures_only(reference: Reference) -> None:
    window = Window(reference, 7)
    found = rows(np.random.default_rng(0).random(50))
    for number, row in enumerate(found):
        window.add(row[:2], row[2:], number)
    last, summary = found[-7:], window.summary()
    assert window.since is not None
    assert window.since.timestamp() == 43
    assert summary.pictures == 7
    assert summary.labels.tolist() == np.bincount(last[:, :2].argmax(axis=1), minlength=2).tolist()
    bins = reference.bins(last[:, :2].max(axis=1))
    assert summary.confidence.tolist() == np.bincount(bins, minlength=len(reference.confidence)).tolist()
    assert summary.mean == pytest.approx(last[:, 2:].mean(axis=0), abs=1e-6)
    assert summary.deviation == pytest.approx(last[:, 2:].std(axis=0), abs=1e-6)


def test_features_that_are_no_numbers_do_not_count(reference: Reference) -> None:
    window = Window(reference, 7)
    [row] = rows(np.array([0.3]))
    window.add(row[:2], row[2:], 1)
    window.add(row[:2], np.array([np.inf, 3], np.float32), 2)
    assert (window.pictures, np.isfinite(window.summary().mean).all()) == (1, True)
