"""A bundle's stand-in, and an application around it, without Ray and TensorFlow."""

import io
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.errors import ImageError
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.settings import ServeSettings
from serve.web.app import build_app


class BrightnessBundle:
    """Answers `bright` with the picture's mean brightness; the decoder is the real one."""

    labels = Labels(("bright", "dark"))
    pixels = PixelOps(height=8, width=8, colorspace="color")
    card = SimpleNamespace(name="brightness")
    reference = None

    def __init__(self) -> None:
        self.engine = SimpleNamespace(warm_up=lambda: None)

    def decoded(self, pictures: list[bytes]) -> list[np.ndarray | ImageError]:
        found: list[np.ndarray | ImageError] = []
        for data in pictures:
            try:
                found.append(decode(data, self.pixels))
            except ImageError as error:
                found.append(error)
        return found

    def answers_of(self, decoded: list[np.ndarray | ImageError]) -> list[np.ndarray | ImageError]:
        return [item if isinstance(item, ImageError) else self._answer(item.mean() / 255) for item in decoded]

    def _answer(self, bright: float) -> np.ndarray:
        return np.array([bright, 1 - bright], np.float32)

    def decision(self, probabilities: np.ndarray) -> str:
        return "sure" if probabilities.max() >= 0.6 else "unsure"


def picture_bytes(brightness: int = 200, size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    """A plain picture (width, height) as a file's bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (brightness,) * 3).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def settings() -> ServeSettings:
    return ServeSettings(model="stand-in", max_body_bytes=20_000, max_pixels=10_000, max_waiting=3, max_pictures=4)


@pytest.fixture
def predictor(settings: ServeSettings) -> Predictor:
    return Predictor(Served(BrightnessBundle(), "3"), settings)  # type: ignore[arg-type]


@pytest.fixture
def client(predictor: Predictor, settings: ServeSettings) -> Iterator[TestClient]:
    predictor.warm_up()
    with TestClient(build_app(predictor, settings), raise_server_exceptions=False) as client:
        yield client
