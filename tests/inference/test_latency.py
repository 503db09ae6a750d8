import time

import numpy as np
import pytest

from imgcls_ray.inference.base import Engine
from imgcls_ray.inference.latency import REPEATS, WARM_UP, latency_ms


class Slow(Engine):
    """Slow while it warms up, and once afterwards."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.shapes.append(images.shape)
        time.sleep(0.05 if len(self.shapes) <= WARM_UP or len(self.shapes) == 20 else 0.002)
        return np.zeros((len(images), 2), np.float32)

    def warm_up(self) -> None:
        """Left to `predict`."""


def test_it_is_the_median_of_single_pictures_once_warm() -> None:
    engine = Slow()
    assert 2 <= latency_ms(engine, (8, 8, 3)) < 40
    assert engine.shapes == [(1, 8, 8, 3)] * (WARM_UP + REPEATS)


def test_pictures_are_as_the_model_takes_them() -> None:
    class Strict(Slow):
        def predict(self, images: np.ndarray) -> np.ndarray:
            assert images.dtype == np.uint8
            return super().predict(images)

    assert latency_ms(Strict(), (4, 4, 1)) == pytest.approx(2, abs=38)
