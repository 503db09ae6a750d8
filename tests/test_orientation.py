"""A photograph held in any of the eight ways is one picture to preprocess, evaluate and the server."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.bundle.card import Card
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps, fitted, open_picture
from imgcls_ray.use import answers
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.settings import ServeSettings
from serve.web.app import build_app

TURNS = range(1, 9)
LABELS = Labels(("left", "right", "top", "bottom"))
# What the file holds -> how a viewer turns it upright, undone: EXIF orientation 6 is stored a quarter turn to the left.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
}


class Corners:
    """Stands for a network: how bright each side of the picture is. Any turn or flip changes it."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        bright = images.astype(np.float64).mean(axis=-1)
        _, height, width = bright.shape
        sides = [
            bright[:, :, : width // 2],
            bright[:, :, width // 2 :],
            bright[:, : height // 2],
            bright[:, height // 2 :],
        ]
        scores = np.stack([side.mean(axis=(1, 2)) for side in sides], axis=-1)
        return cast(np.ndarray, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32))

    def warm_up(self) -> None: ...


@pytest.fixture(params=["stretch", "crop", "pad"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    card = Card(name="s", study="s", settings={}, metrics={}, data_name="d", data_fingerprint="f", counts={})
    ops = PixelOps(24, 32, "color", request.param)
    return Bundle(tmp_path / "bundle", LABELS, ops, card, cast(Any, Corners()))


def photograph() -> np.ndarray:
    """128 x 192, brightest on the left, no two sides alike; blocks of 16 survive JPEG unchanged."""
    y, x = np.mgrid[:8, :12]
    blocks = np.stack([250 - 20 * x, 240 - 20 * y, 200 - 9 * x - 5 * y], axis=-1).astype(np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)


def write(folder: Path, format: str = "JPEG") -> list[Path]:
    """One file for each orientation."""
    paths = []
    for turn in TURNS:
        exif = Image.Exif()
        exif[0x0112] = turn
        paths.append(folder / f"{turn}.{format.lower()}")
        stored = np.ascontiguousarray(STORED[turn](photograph()))
        Image.fromarray(stored).save(paths[-1], format, exif=exif, **FORMATS[format])
    return paths


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(128, 192), (24, 32), (30, 30)])
def test_every_format_is_turned_upright(format: str, resize: Any, size: tuple[int, int], tmp_path: Path) -> None:
    ops = PixelOps(*size, "color", resize)
    expected = fitted(photograph(), ops).astype(int)
    for path in write(tmp_path, format):
        pixels = fitted(open_picture(path.read_bytes(), ops), ops)
        assert np.abs(pixels - expected).mean() < 3, path  # a wrong turn is off by 33


def test_preprocess_evaluate_and_the_server_see_the_same_picture(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "left"
    folder.mkdir(parents=True)
    paths = write(folder)

    # As a scan fits pixels for the shards that a network is trained on.
    seen = np.stack([fitted(open_picture(path.read_bytes(), bundle.pixels), bundle.pixels) for path in paths])
    trained = bundle.predict(seen)
    assert np.abs(trained - trained[0]).max() < 0.002
    first, second = sorted(trained[0])[-1:-3:-1]
    assert first == trained[0, 0] > second + 0.002, "a picture without sides would prove nothing"

    classified = [
        {p["label"]: p["probability"] for p in a.predictions} for a in answers.classify(bundle, [*map(str, paths)])
    ]
    app = build_app(Predictor(Served(bundle), ServeSettings(model="stand-in")), ServeSettings(model="stand-in"))
    with TestClient(app) as client:
        replies = [client.post("/classify", files={"img": path.read_bytes()}).json() for path in paths]
    served = [{p["label"]: p["probability"] for p in reply["predictions"]} for reply in replies]
    # `left` is what all eight show, and evaluate has to find it in all of them.
    assert answers.evaluate(bundle, str(tmp_path / "data")).metrics.accuracy == 1
    for number in range(len(paths)):
        row = dict(zip(LABELS.names, trained[number].tolist(), strict=True))
        assert classified[number] == pytest.approx(row, abs=1e-6)
        assert served[number] == pytest.approx(row, abs=1e-6)
