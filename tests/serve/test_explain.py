"""Heat maps: the route, and the explainer with a real network."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.errors import ModelError
from serve.deployment import HeatMaps
from serve.model.answer import Answer
from serve.model.explaining import Explained, Explainer, NotExplained
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import picture_bytes

ANSWER = Answer(("bright", "dark"), np.array([0.25, 0.75], np.float32), "sure")


@pytest.fixture
def asked() -> list[tuple[bytes, str | None]]:
    return []


@pytest.fixture
def client(predictor: Predictor, settings: ServeSettings, asked: list[tuple[bytes, str | None]]) -> TestClient:
    async def explain(picture: bytes, label: str | None) -> Explained | NotExplained:
        asked.append((picture, label))
        if label == "gray":
            return NotExplained(422, "The classes are bright, dark; received 'gray'.")
        return Explained(ANSWER, 0 if label == "bright" else 1, b"a picture", [[0.0, 1.0]])

    return TestClient(build_app(predictor, settings, explain))


def test_the_heat_map_is_a_picture_or_a_grid(client: TestClient, asked: list[tuple[bytes, str | None]]) -> None:
    data = picture_bytes()
    response = client.post("/explain", files={"img": data})
    assert (response.headers["content-type"], response.content) == ("image/png", b"a picture")
    grid = client.post("/explain?format=json&label=bright", content=data, headers={"content-type": "image/png"}).json()
    assert grid.pop("request_id")
    assert grid == {
        "label": "bright",
        "probability": 0.25,
        "decision": "sure",
        "heat_map": [[0.0, 1.0]],
        "success": True,
    }
    assert asked == [(data, None), (data, "bright")]


def test_what_can_not_be_explained_gets_a_sentence(client: TestClient, asked: list[tuple[bytes, str | None]]) -> None:
    for query, picture, status, said in (
        ("label=gray", picture_bytes(), 422, "received 'gray'"),
        ("format=gif", picture_bytes(), 422, "'format'"),
        ("", b"broken", 400, "picture can't be used"),
        ("", picture_bytes(size=(101, 100)), 413, "pixels"),
    ):
        response = client.post(f"/explain?{query}", files={"img": picture})
        assert response.status_code == status
        assert said in response.json()["error"]
    several = client.post("/explain", files=[("img", picture_bytes()), ("img", picture_bytes())])
    assert several.status_code == 422
    assert [label for _, label in asked] == ["gray"]


def test_without_an_explainer_there_is_no_route(predictor: Predictor, settings: ServeSettings) -> None:
    client = TestClient(build_app(predictor, settings))
    assert client.post("/explain", files={"img": picture_bytes()}).status_code == 404


@pytest.mark.parametrize("colorspace", ["color", "grayscale"])
def test_the_explainer_shows_where_a_network_looks(tmp_path: Path, colorspace: str) -> None:
    import keras

    from imgcls_ray.bundle.bundle import Card, write_bundle

    channels = 3 if colorspace == "color" else 1
    inputs = keras.Input((16, 24, channels))
    # Every second class is for what is bright, whatever else there is.
    maps = keras.layers.Conv2D(2, 3, 2, "same", activation="relu", use_bias=False)(inputs / 255)
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, outputs)
    model.layers[-3].set_weights([np.full((3, 3, channels, 2), 0.1, np.float32)])
    model.layers[-1].set_weights([np.array([[-1.0, 1.0], [-1.0, 1.0]], np.float32), np.zeros(2, np.float32)])
    card = Card(name="m", study="s", settings={}, metrics={}, data_name="d", data_fingerprint="f", counts={})
    pixels = PixelOps(height=16, width=24, colorspace=colorspace)
    golden = np.zeros((1, *pixels.shape), np.uint8)
    bundle = write_bundle(tmp_path / "bundle", model, Labels(("dark", "bright")), pixels, card, golden)
    explainer = Explainer(Served(bundle))
    explainer.warm_up()
    picture = np.zeros((160, 240, 3), np.uint8)
    picture[120:, 200:] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    found = explainer.explain(buffer.getvalue(), None)
    assert isinstance(found, Explained)
    assert found.answer.label == "bright"
    grid = np.array(found.grid)
    assert grid.shape == (16, 24)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    assert row >= 12
    assert column >= 20
    shown = Image.open(io.BytesIO(found.png))
    assert shown.size == (384, 256)
    refused = explainer.explain(buffer.getvalue(), "gray")
    assert isinstance(refused, NotExplained)
    assert (refused.status, "'gray'" in refused.reason) == (422, True)
    assert isinstance(explainer.explain(b"broken", None), NotExplained)


def test_one_thread_loads_and_a_bundle_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(path: Path, _settings: ServeSettings) -> Any:
        if path.name == "gone":
            raise ModelError("There is no bundle.")
        time.sleep(0.1)
        loaded.append(path.name)
        return SimpleNamespace(explain=lambda picture, label: (path.name, picture, label))

    monkeypatch.setattr("serve.model.loading.load_explainer", load)
    maps = HeatMaps.__new__(HeatMaps)  # its constructor is for a replica
    maps._settings, maps._loading, maps._explainers = ServeSettings(model="m"), threading.Lock(), {}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: maps("/b/one", b"x", None), range(4)))
    assert found == [("one", b"x", None)] * 4
    assert loaded == ["one"]
    assert maps("/b/gone", b"x", None) == NotExplained(503, "There is no bundle.")
