"""Small pictures inside the page: read through the source's reader, decoded as preprocess does, bounded in all ways."""

import base64
import string
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from imgcls_ray.data.pixels import PixelOps, open_picture
from imgcls_ray.data.resize import Pixels, resized
from imgcls_ray.data.sources.base import Reader
from imgcls_ray.errors import ImageError
from imgcls_ray.reports.report import Picture

SIDE = 144
"""Of the longer side, in pixels; the page shows it at up to 120, so that it is sharp on a fine screen too."""
MAX_PICTURES = 420
MAX_BYTES = 2_000_000
"""Of all data URIs of a page together."""
MAX_SECONDS = 30.0
MAX_FILE = 32_000_000
"""A larger file is not read for a thumbnail."""
MAX_PIXELS = 50_000_000
"""A larger picture is not decoded for a thumbnail."""
_THREADS = 4
_OPS = PixelOps(SIDE, SIDE, "color", "pad", MAX_PIXELS)
_PRINTABLE = set(string.ascii_letters + string.digits + string.punctuation + " ")


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, or why there is none."""

    source: str | None = None
    """`data:image/jpeg;base64,...`."""
    width: int = SIDE
    height: int = SIDE
    note: str = ""
    """In place of a picture: what was wrong."""
    head: str = ""
    """In place of a picture: the first bytes, as hex and as text."""


def thumbnails(reader: Reader | None, pictures: Iterable[Picture]) -> dict[str, Thumbnail]:
    """Path -> thumbnail for `pictures`, the first ones while count, bytes and time last.

    A picture that is wanted twice stands twice in the page, and costs twice. Nothing is raised for a file that can't
    be read or decoded: its thumbnail says so. Without a reader there are none.
    """
    if reader is None:
        return {}
    wanted: dict[str, Picture] = {}
    uses: Counter[str] = Counter()
    for picture in pictures:
        if picture.path in wanted or len(wanted) < MAX_PICTURES:
            wanted[picture.path] = picture
            uses[picture.path] += 1
    end = time.monotonic() + MAX_SECONDS
    found: dict[str, Thumbnail] = {}
    left = MAX_BYTES

    def make(picture: Picture) -> Thumbnail | None:
        return thumbnail(reader, picture) if time.monotonic() < end else None

    with ThreadPoolExecutor(_THREADS) as pool:
        for path, made in zip(wanted, pool.map(make, wanted.values()), strict=True):
            cost = uses[path] * len(made.source or "") if made else 0
            if made and cost <= left:
                left -= cost
                found[path] = made
    return found


def thumbnail(reader: Reader, picture: Picture) -> Thumbnail:
    """One picture, small, in its own shape and upright; or what was wrong with it."""
    if picture.bytes > MAX_FILE:
        return Thumbnail(note=f"a file of {picture.bytes / 1e6:,.0f} MB")
    try:
        data = reader.read(picture.path)
    except OSError as error:
        return Thumbnail(note=error.strerror or "can't be read")
    try:
        pixels = open_picture(data, _OPS)
    except ImageError as error:
        return Thumbnail(note=picture.reason or error.reason, head=_head(data))
    return encoded(shrunk(pixels))


def shrunk(pixels: Pixels, side: int = SIDE) -> Pixels:
    """A picture (h, w, C) made small, or larger, so that its longer side has `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    small = resized(pixels, max(round(height * scale), 4), max(round(width * scale), 4))
    return small.reshape(*small.shape[:2], -1)


def encoded(small: Pixels) -> Thumbnail:
    """A small picture (h, w, 3) RGB or (h, w, 1) gray as a JPEG inside a URI."""
    gray = small.shape[2] == 1
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(small),
        quality=72,
        colorspace="GRAY" if gray else "RGB",
        colorsubsampling="Gray" if gray else "420",
    )
    return Thumbnail(
        f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", width=small.shape[1], height=small.shape[0]
    )


def as_png(small: Pixels) -> Thumbnail:
    """A tiny picture (h, w, 3) RGB or (h, w, 4) with transparency, without loss, as a PNG inside a URI."""
    order = cv2.COLOR_RGBA2BGRA if small.shape[2] == 4 else cv2.COLOR_RGB2BGR
    _, data = cv2.imencode(".png", cv2.cvtColor(small, order))
    text = base64.b64encode(data.tobytes()).decode()
    return Thumbnail(f"data:image/png;base64,{text}", width=small.shape[1], height=small.shape[0])


def _head(data: bytes) -> str:
    """The first bytes: `47 49 46 38  GIF8`; `0 bytes` for an empty file."""
    first = data[:8]
    text = "".join(c if c in _PRINTABLE else "·" for c in first.decode("latin-1"))
    return f"{first.hex(' ')}  {text}" if first else "0 bytes"
