"""Pixels to another size, and upright: shrinking without aliasing at nearly the price of plain bilinear."""

import threading
from typing import Any, cast

import cv2
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_SHARP = 1.25
"""A side that shrinks by no more than this is read bilinearly at once: two taps still see nearly all of it."""

_SCRATCH_BYTES = 8 << 20
_scratch = threading.local()

# EXIF orientation -> how OpenCV turns it upright; a transposition first, then this flip (CIPA DC-008, 4.6.4 A).
_FLIPS: dict[int, int | None] = {1: None, 2: 1, 3: -1, 4: 0, 5: None, 6: 1, 7: -1, 8: 0}


def upright(pixels: Pixels, turn: int) -> Pixels:
    """Upright pixels from (h, w) or (h, w, C) of EXIF orientation `turn`; the same array for 1, else a copy."""
    if turn >= 5:
        pixels = cast(Pixels, cv2.transpose(pixels))
    flip = _FLIPS[turn]
    return pixels if flip is None else cast(Pixels, cv2.flip(pixels, flip))


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """(h, w) or (h, w, C) to (height, width): sides that shrink are averaged by area, sides that grow are bilinear.

    OpenCV averages by area fast only where 2 x 2 pixels become one, which is also what its bilinear filter gives at
    exactly half the size. So a side that shrinks by 1.25 to 2.5 is brought to twice the wanted size bilinearly and
    then halved: within 0.1 grey levels of exact area averaging on photographs (rounding alone is 0.25), without its
    price. More than that is halved by area as often as it goes in whole pixels, and what then still shrinks by more
    than 2.5 is averaged by OpenCV's general method.
    """
    old_height, old_width = pixels.shape[:2]
    while not (old_height % 2 or old_width % 2) and old_height >= 4 * height and old_width >= 4 * width:
        old_height, old_width = old_height // 2, old_width // 2
        pixels = _to(pixels, old_height, old_width, cv2.INTER_AREA)
    if old_height > 2.5 * height or old_width > 2.5 * width:
        old_height, old_width = min(height, old_height), min(width, old_width)
        pixels = _to(pixels, old_height, old_width, cv2.INTER_AREA)
    double_height = height * (2 if old_height > _SHARP * height else 1)
    double_width = width * (2 if old_width > _SHARP * width else 1)
    if (double_height, double_width) != (height, width) and (double_height, double_width) != (old_height, old_width):
        room = _room((double_height, double_width, *pixels.shape[2:]))
        pixels = _to(pixels, double_height, double_width, cv2.INTER_LINEAR, room)
    return _to(pixels, height, width, cv2.INTER_LINEAR)


def _to(pixels: Pixels, height: int, width: int, method: int, room: Pixels | None = None) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return cast(Pixels, cv2.resize(pixels, (width, height), dst=room, interpolation=method))  # OpenCV: width first


def _room(shape: tuple[int, ...]) -> Pixels | None:
    """This thread's room for a picture between two steps: new pages for each would cost as much as the resize."""
    size = int(np.prod(shape))
    if size > _SCRATCH_BYTES:
        return None
    room = getattr(_scratch, "room", None)
    if room is None or room.size < size:
        room = _scratch.room = np.empty(size, np.uint8)
    return cast(Pixels, room[:size].reshape(shape))
