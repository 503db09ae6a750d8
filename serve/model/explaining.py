"""Why a picture got its answer: the heat map of Grad-CAM, as a picture and as a grid."""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import cv2
import numpy as np

from imgcls_ray.errors import ImageError, ImgclsError
from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.model.served import Served

SIDE = 384
"""The longer side in pixels of a picture with its heat map; what the model sees is mostly smaller."""
CELLS = 28
"""Of the longer side of a grid, at most: Grad-CAM's own maps are coarser."""


@dataclass(frozen=True)
class Explained:
    """A picture as the model sees it, and which places of it speak for a class."""

    answer: Answer
    asked: int
    """Number of the class that was asked about."""
    png: bytes
    """The picture with the heat over it."""
    grid: list[list[float]]
    """0 to 1, row by row."""


@dataclass(frozen=True)
class NotExplained:
    """Why there is no heat map: it crosses from one process to another, which an exception does not well."""

    status: int
    reason: str


Explain = Callable[[bytes, str | None], Awaitable[Explained | NotExplained]]
"""Explains the answer to a picture's file, or how much speaks for the class with this name."""


class Explainer:
    """Draws heat maps for one bundle; needs TensorFlow, whichever engine answers."""

    def __init__(self, served: Served) -> None:
        self._served, self._network = served, served.bundle.network()

    def warm_up(self) -> None:
        """Trace the graph, which takes some seconds."""
        from imgcls_ray.explain.gradcam import heat_map

        heat_map(self._network, np.zeros((1, *self._served.bundle.pixels.shape), np.uint8), np.zeros(1, int))

    def explain(self, picture: bytes, label: str | None) -> Explained | NotExplained:
        """The heat map of the class `label`, or of the one that is answered."""
        try:
            return self._explain(picture, label)
        except ImgclsError as error:
            return NotExplained(getattr(error, "http_status", 500), str(error))

    def _explain(self, picture: bytes, label: str | None) -> Explained:
        from imgcls_ray.explain.gradcam import heat_map
        from imgcls_ray.explain.overlay import overlay

        labels = self._served.labels
        if label is not None and label not in labels:
            listed = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
            raise RequestRefused(422, f"The classes are {listed}; received {label[:80]!r}.")
        bundle = self._served.bundle
        [pixels] = bundle.decoded([picture])
        if isinstance(pixels, ImageError):
            raise pixels
        [probabilities] = bundle.predict(pixels[None])
        answer = Answer(labels, probabilities, bundle.decision(probabilities))
        asked = answer.best if label is None else labels.index(label)
        [heat] = heat_map(self._network, pixels[None], np.array([asked]))
        scale = SIDE / max(heat.shape)
        shown = _color(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
        [laid] = overlay(shown[None], cv2.resize(heat, shown.shape[1::-1])[None])
        return Explained(answer, asked, _png(laid), _grid(heat))


def _color(pixels: np.ndarray) -> np.ndarray:
    # OpenCV's resize leaves out the only channel of a gray picture.
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _grid(heat: np.ndarray) -> list[list[float]]:
    scale = min(1.0, CELLS / max(heat.shape))
    small = cv2.resize(heat, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return [[round(float(value), 3) for value in row] for row in small]
