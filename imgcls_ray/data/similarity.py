"""How a picture looks, in a few bytes, and how far two looks are apart."""

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]

SIDE = 16
"""A signature is a gray thumbnail of `SIDE` x `SIDE` bytes, row by row."""

_HASHED = 32
_SAMPLED = 128
_BITS = 64
# A crop of 3 % at each border is a zoom of 1.06; more is another picture's part.
_MOST_ZOOM = 0.06

_OFFSET = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2


@dataclass(frozen=True)
class Look:
    """What is kept of a picture to find others like it."""

    phash: str
    """Perceptual hash, 16 hex digits: pictures that look alike differ in few bits."""
    signature: bytes
    """Gray thumbnail of 16 x 16 bytes, to confirm with."""


def look_of(pixels: Pixels) -> Look:
    """The look of an upright picture.

    Args:
        pixels: uint8 (height, width, 1 or 3) or (height, width); RGB. Nearly the same look comes from the picture
            decoded at full size and at 1/2 or 1/4 of it.

    The hash is that of pHash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
    section 3.2.1): of a gray 32 x 32 thumbnail's cosine transform, the 8 x 8 lowest frequencies without the constant
    row and column, each compared with their median.
    """
    height, width = pixels.shape[:2]
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cast(Pixels, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    # Linear sampling of at most 128 x 128 points: averaging all pixels would take several times as long. (In gray,
    # because OpenCV gathers points of one channel seven times as fast as those of three.)
    sampled = (min(width, _SAMPLED), min(height, _SAMPLED))
    if sampled != (width, height):
        pixels = cast(Pixels, cv2.resize(pixels, sampled, interpolation=cv2.INTER_LINEAR))
    small = cv2.resize(pixels, (_HASHED, _HASHED), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[1:9, 1:9].ravel()
    bits = np.packbits(waves > np.partition(waves, _BITS // 2 - 1)[_BITS // 2 - 1])
    signature = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Look(bits.tobytes().hex(), signature.tobytes())


def contrast(signatures: Pixels) -> Floats:
    """Standard deviation of each signature, in gray levels: (n, 256) -> (n,)."""
    return cast(Floats, signatures.std(axis=1, dtype=np.float32))


def distance(first: Pixels, second: Pixels) -> Floats:
    """How far signatures are apart, pair by pair: 0 is equal up to brightness, contrast and a slight crop.

    Args:
        first: uint8 (n, 256).
        second: likewise; the distance is the same when they are swapped.

    Returns:
        float32 (n,): the part of the variance that the other does not explain, once the zoom that explains most is
        taken out, divided by the part of the pixels that the variance comes from. Pen strokes on plain paper agree
        by chance far more easily than photographs do: their variance comes from fewer pixels.
    """
    one, other = _standardised(first), _standardised(second)
    apart, middle = one - other, ((one + other) / 2).reshape(-1, SIDE, SIDE)
    down, across = cast(tuple[Floats, Floats], tuple(np.gradient(middle, axis=(1, 2))))
    # A zoom about the centre moves each pixel in proportion to its offset (first-order registration).
    zoom = (down * _OFFSET[:, None] + across * _OFFSET).reshape(-1, SIDE * SIDE)
    strength = (apart * zoom).sum(1) / np.maximum((zoom * zoom).sum(1), 1e-9)
    apart -= np.clip(strength, -_MOST_ZOOM, _MOST_ZOOM)[:, None] * zoom
    return cast(Floats, (apart * apart).sum(1) / np.minimum(_spread(one), _spread(other)))


def _standardised(signatures: Pixels) -> Floats:
    """Mean 0 and length 1."""
    values = signatures.astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _spread(units: Floats) -> Floats:
    """The participation ratio: 1 where all pixels deviate alike from the mean, 1/256 where a single one does."""
    squares = units * units
    return cast(Floats, 1 / np.maximum(units.shape[1] * (squares * squares).sum(1), 1))
