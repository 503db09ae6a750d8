"""One task of augmentation: the copies of some originals, made and written."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from imgcls_ray.data.augmentation.dealing import copy_place
from imgcls_ray.data.augmentation.operations import OPERATIONS, Operation, Pixels, view
from imgcls_ray.data.augmentation.settings import AugmentSettings
from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.pixels import PixelOps, open_picture
from imgcls_ray.data.png import png_of
from imgcls_ray.data.resize import resized
from imgcls_ray.data.shards import jpeg
from imgcls_ray.data.splits import rank
from imgcls_ray.errors import ImageError

LARGEST = 4096
"""Pixels of a copy's longer side."""

_ATTEMPTS = 16
"""How often a copy is drawn anew that is like its original or an earlier one to the bit."""

DONE = pa.schema([("place", pa.string()), ("made", pa.int64()), ("errno", pa.int64()), ("error", pa.string())])


def operations_of(settings: AugmentSettings) -> list[Operation]:
    """Those that are not off, in their order."""
    all_of_them = [kind(getattr(settings, kind.name)) for kind in OPERATIONS]
    return [operation for operation in all_of_them if operation.probability]


def augment_block(block: pa.Table, folder: str, settings: AugmentSettings, seed: int) -> pa.Table:
    """One task: a table with columns `place`, `sha256` and `numbers` (of the copies that are to be made).

    Returns how many were made of each; a file system that refuses is told, not raised.
    """
    cv2.setNumThreads(1)  # this process has one CPU; OpenCV would take all of them
    done: list[dict[str, Any]] = []
    for row in block.to_pylist():
        told: dict[str, Any] = {"place": row["place"], "made": 0}
        try:
            data = (Path(folder) / row["place"]).read_bytes()
            wanted = set(row["numbers"])
            for number, copy in views(data, row["sha256"], max(wanted), settings, seed):
                if number in wanted:
                    target = Path(folder, copy_place(row["place"], number, settings.format))
                    write_atomic(target, encoded(copy, settings.format), sync=False)
                    told["made"] += 1
        except ImageError:  # it was a picture when it was put there; the place says which
            told.update(errno=0, error="it is no picture any more")
        except OSError as error:
            told.update(errno=error.errno or 0, error=error.strerror or str(error))
        done.append(told)
    return pa.Table.from_pylist(done, schema=DONE)


def views(data: bytes, sha256: str, most: int, settings: AugmentSettings, seed: int) -> Iterator[tuple[int, Pixels]]:
    """The copies numbered 1 to `most` of the picture in `data`, uint8 (h, w, 3) RGB; each looks different.

    A number is left out where only a repetition was drawn for it, again and again. What a number gives depends on
    nothing but the arguments without `most`.

    Raises:
        ImageError: `data` is no usable picture.
    """
    image = opened(data, settings)
    operations = operations_of(settings)
    seen = {_digest(_sized(image, settings))}
    for number in range(1, most + 1):
        for attempt in range(_ATTEMPTS):
            key = rank(seed, "augment", f"{sha256}:{number}:{attempt}")
            copy = _sized(view(image, operations, key), settings)
            digest = _digest(copy)
            if digest not in seen:
                seen.add(digest)
                yield number, copy
                break


def opened(data: bytes, settings: AugmentSettings) -> Pixels:
    """The upright picture, as large as its copies need it.

    Raises:
        ImageError: `data` is no usable picture.
    """
    if settings.size:  # twice the size: what a crop enlarges stays sharp
        return open_picture(data, PixelOps(2 * settings.size.height, 2 * settings.size.width, "color"))
    image = open_picture(data, PixelOps(LARGEST, LARGEST, "color"))
    scale = LARGEST / max(image.shape[:2])
    if scale >= 1:
        return image
    return resized(image, *(max(1, round(side * scale)) for side in image.shape[:2]))


def encoded(image: Pixels, file_format: str) -> bytes:
    """The picture (h, w, 3) RGB as a JPEG of quality 95 or as a PNG."""
    if file_format == "jpeg":
        return jpeg.encode(image)
    return png_of(image)


def _sized(image: Pixels, settings: AugmentSettings) -> Pixels:
    return resized(image, settings.size.height, settings.size.width) if settings.size else image


def _digest(image: Pixels) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def blocks_of(rows: Sequence[dict[str, Any]], size: int) -> list[pa.Table]:
    """`rows` in tables of at most `size`."""
    schema = pa.schema([("place", pa.string()), ("sha256", pa.string()), ("numbers", pa.list_(pa.int64()))])
    return [
        pa.Table.from_pylist(list(rows[start : start + size]), schema=schema) for start in range(0, len(rows), size)
    ]
