"""The operations that make an augmented copy: each is seeded, keeps the shape, and leaves its argument as it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import cv2
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Operation(ABC):
    """Something that is done to a picture by chance.

    Raises:
        ValueError: `probability` is no number from 0 to 1.
    """

    name: ClassVar[str]
    probability: float
    """Share of the copies that it is done to."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"a probability is a number from 0 to 1; received {self.probability}")

    def apply(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """The picture (h, w, C) uint8, changed or, by chance, as it is; of the same shape.

        The same state of `rng` gives the same result.
        """
        if rng.random() >= self.probability:
            return image
        return np.ascontiguousarray(self._changed(image, rng)).reshape(image.shape)

    @abstractmethod
    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """The changed picture, in the same height and width."""


@dataclass(frozen=True)
class Distort(Operation):
    """Elastic distortion: the inner nodes of a grid are pulled about, and what is between them follows.

    After P. Simard et al., "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis"
    (2003), with the grid of the Augmentor library (M. Bloice et al., arXiv:1708.04680, "Elastic Distortions").
    """

    name: ClassVar[str] = "distort"
    cells: int = 4
    """Along each side."""
    magnitude: float = 8 / 299
    """How far a node moves at most, as a share of the shorter side: 8 pixels of 299."""

    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        reach = self.magnitude * min(height, width)
        shifts = np.zeros((2, self.cells + 1, self.cells + 1), np.float32)
        inner = (2, self.cells - 1, self.cells - 1)
        shifts[:, 1:-1, 1:-1] = rng.uniform(-reach, reach, inner)  # the border stays, so that nothing is empty
        down, across = self._weights(height), self._weights(width)
        shift_x, shift_y = down @ shifts[0] @ across.T, down @ shifts[1] @ across.T
        at_x = np.arange(width, dtype=np.float32)[None] + shift_x
        at_y = np.arange(height, dtype=np.float32)[:, None] + shift_y
        return _remapped(image, at_x, at_y)

    def _weights(self, size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(size, nodes): how much each node counts at each pixel; linear between two nodes."""
        at = np.linspace(0, self.cells, size, dtype=np.float32)[:, None]
        return np.clip(1 - np.abs(at - np.arange(self.cells + 1, dtype=np.float32)), 0, 1)


@dataclass(frozen=True)
class FlipHorizontal(Operation):
    """Left and right change places."""

    name: ClassVar[str] = "flip_horizontal"

    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:  # noqa: ARG002 - nothing is drawn
        return image[:, ::-1]


@dataclass(frozen=True)
class FlipVertical(Operation):
    """Top and bottom change places."""

    name: ClassVar[str] = "flip_vertical"

    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:  # noqa: ARG002 - nothing is drawn
        return image[::-1]


@dataclass(frozen=True)
class Crop(Operation):
    """A part of the same proportions, anywhere, brought to the size of the whole."""

    name: ClassVar[str] = "crop"
    area: float = 0.75
    """Share of the picture that is kept."""

    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        rows, columns = (max(1, round(side * self.area**0.5)) for side in (height, width))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        part = np.ascontiguousarray(image[top : top + rows, left : left + columns])
        return cast(Pixels, cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True)
class Rotate(Operation):
    """Turned a little about the middle, and enlarged just so much that no corner is empty."""

    name: ClassVar[str] = "rotate"
    degrees: float = 10
    """Most, to either side."""

    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        degrees = rng.uniform(-self.degrees, self.degrees)
        sine, cosine = abs(np.sin(np.radians(degrees))), np.cos(np.radians(degrees))
        # The frame, seen from the turned picture, must lie inside it: both its width and its height must.
        scale = float(cosine + sine * max(height / width, width / height))
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
        return cast(
            Pixels,
            cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
        )


@dataclass(frozen=True)
class Erase(Operation):
    """A rectangle anywhere becomes noise: Random Erasing (Z. Zhong et al., arXiv:1708.04896, algorithm 1)."""

    name: ClassVar[str] = "erase"
    area: float = 0.25
    """Most, as a share of the picture; the least is 0.02, as in the paper."""
    aspect: float = 3.3
    """Most of height to width, and of width to height."""

    def _changed(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        area = rng.uniform(min(0.02, self.area), self.area) * height * width
        aspect = np.exp(rng.uniform(-np.log(self.aspect), np.log(self.aspect)))
        rows = int(min(height, max(1, (area * aspect) ** 0.5)))
        columns = int(min(width, max(1, (area / aspect) ** 0.5)))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        changed = image.copy()
        changed[top : top + rows, left : left + columns] = rng.integers(
            0, 256, (rows, columns, image.shape[2]), np.uint8
        )
        return changed


OPERATIONS: tuple[type[Operation], ...] = (Distort, FlipHorizontal, FlipVertical, Crop, Rotate, Erase)
"""In the order in which they are done."""


def view(image: Pixels, operations: Sequence[Operation], key: bytes) -> Pixels:
    """What the operations make of `image` (h, w, C) uint8; `key`, any bytes, decides all that is drawn.

    Each operation draws on its own: a change to one of them leaves what the others draw.
    """
    for number, operation in enumerate(operations):
        image = operation.apply(image, np.random.default_rng([number, *key]))
    return image


def _remapped(image: Pixels, at_x: np.ndarray, at_y: np.ndarray) -> Pixels:
    """The picture read at other places, bilinearly. OpenCV takes sides up to 32766."""
    return cast(Pixels, cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
