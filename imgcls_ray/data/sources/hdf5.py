"""HDF5 files of earlier systems: one dataset per class, its name the class, its rows the pictures.

`(n, H, W, 3)` or `(n, H, W)`, float from 0 to 1 or uint8. The program that wrote them decoded with OpenCV and never
turned the channels round, so colours are taken to be blue, green, red.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_ray.data.sources.base import HEAD, Reader, SourceItem, Split, identity
from imgcls_ray.data.sources.kinds import Listed, Rules, SourceKind, Words
from imgcls_ray.data.sources.places import LocalPlace, Place
from imgcls_ray.errors import DataError

SUFFIXES = (".h5", ".hdf5")
_MAX_ROW = 2**29
"""Bytes of one picture, and of one chunk of the file."""
_OPEN = 64
"""Files that a process keeps open."""
_WORDS = Words("the training file", ", a dataset for each", "name the others in a label list", "The datasets of")


@dataclass(frozen=True)
class Hdf5Reader(Reader):
    """`FILE#CLASS/ROW` as a PNG."""

    folder: str

    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        """See Reader. A float is rounded to the nearest of 256 levels, which is what it was made from."""
        name, _, row = path.rpartition("/")
        files = [end for end in SUFFIXES if f"{end}#" in name.lower()]
        if not files or not row.isdecimal():
            raise FileNotFoundError(2, "there is no such row")
        cut = name.lower().index(f"{files[0]}#") + len(files[0])
        try:
            pixels = _opened(*identity(f"{self.folder}/{name[:cut]}"))[name[cut + 1 :]][int(row)]
        except (KeyError, ValueError, IndexError) as error:
            raise FileNotFoundError(2, "there is no such row") from error
        content = _png(pixels)
        if check:
            check(content[:HEAD])
        return content


class Hdf5(SourceKind):
    """`name-train.h5`, with the test pictures in `name-test.h5` beside it; any other name is a file of its own."""

    def matches(self, place: Place) -> bool:
        return not place.is_folder and place.root.lower().endswith(SUFFIXES)

    def fits(self, place: Place) -> bool:
        try:
            return isinstance(place, LocalPlace) and bool(_datasets(place.path))
        except DataError:
            return False

    def listed(self, place: Place, rules: Rules) -> Listed:
        if not isinstance(place, LocalPlace):
            raise DataError(f"HDF5 files are read from a folder; {place.root} is elsewhere: copy it first.")
        files: list[tuple[Path, Split | None]] = [(place.path, None)]
        stem, suffix = place.path.stem, place.path.suffix
        test = place.path.with_name(f"{stem[: -len('train')]}test{suffix}")
        if stem.endswith("-train") and test.is_file():
            files = [(place.path, "train"), (test, "test")]
        classes = tuple(_datasets(place.path))
        items = (item for path, split in files for item in _items(path, split, rules))
        return Listed(items, Hdf5Reader(str(place.path.parent)), classes, _WORDS)


def _items(path: Path, split: Split | None, rules: Rules) -> Iterator[SourceItem]:
    mtime_ns = path.stat().st_mtime_ns
    for name, (rows, size) in _datasets(path).items():
        label, refused = rules.settle([name])
        digits = len(str(max(rows - 1, 0)))
        for row in range(rows):
            yield SourceItem(f"{path.name}#{name}/{row:0{digits}}", label, split, size, mtime_ns, None, refused)


def _datasets(path: Path) -> dict[str, tuple[int, int]]:
    """Rows and bytes of a row of each class; a class without pictures, which such a file keeps as (0,), has none."""
    import h5py

    found: dict[str, tuple[int, int]] = {}
    try:
        with h5py.File(path, "r", locking=False) as file:
            for name in sorted(file):
                link = file.get(name, getlink=True)
                dataset = file[name] if isinstance(link, h5py.HardLink) else None
                if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
                    raise DataError(f"{_RULE}; '{name}' in {path} is a group or leads to another file.")
                if dataset.shape and dataset.shape[0]:
                    _check(dataset, name, path)
                    found[name] = (dataset.shape[0], dataset.dtype.itemsize * math.prod(dataset.shape[1:]))
                else:
                    found[name] = (0, 0)
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(f"An HDF5 file must be whole; {path} can't be read ({str(error)[:150]}).") from error
    if not found:
        raise DataError(f"{_RULE}; {path} has none.")
    return found


_RULE = "An HDF5 file of pictures has one dataset per class, (n, height, width, 3) or (n, height, width)"


def _check(dataset: Any, name: str, path: Path) -> None:
    shape, dtype = dataset.shape, dataset.dtype
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)) or 0 in shape:
        raise DataError(f"{_RULE}; '{name}' in {path} is {shape}.")
    if dtype != np.uint8 and dtype.kind != "f":
        raise DataError(f"Pictures in HDF5 are uint8 or floats from 0 to 1; '{name}' in {path} is {dtype}.")
    largest = max(math.prod(shape[1:]), math.prod(dataset.chunks or ())) * dtype.itemsize
    if largest > _MAX_ROW:
        raise DataError(
            f"A picture or chunk in HDF5 has at most {_MAX_ROW:,} bytes; '{name}' in {path} has {largest:,}."
        )
    if not _in_range(dataset[0]):
        raise DataError(
            f"Pictures in HDF5 are uint8 or floats from 0 to 1; '{name}' in {path} goes beyond: scale it to 0 to 1."
        )


def _in_range(pixels: Any) -> bool:
    return pixels.dtype == np.uint8 or bool(pixels.min() > -1e-3 and pixels.max() < 1 + 1e-3)


@lru_cache(maxsize=_OPEN)
def _opened(path: str, *identity: int) -> Any:  # noqa: ARG001 - a file that was replaced is opened anew
    import h5py

    return h5py.File(path, "r", locking=False)


def _png(pixels: Any) -> bytes:
    import cv2

    if not _in_range(pixels):
        raise OSError(22, "values outside of 0 to 1")
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    done, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])  # which takes BGR
    if not done:
        raise OSError(22, "not a picture")
    return bytes(content)
