"""A model for other runtimes: which pictures an export is made and judged with, and the export itself."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.bundle.export.formats import exporter
from imgcls_ray.bundle.export.pictures import Pictures
from imgcls_ray.bundle.files import GOLDEN, read_golden
from imgcls_ray.data.header import sniff
from imgcls_ray.data.index import read_index, shard_is_whole
from imgcls_ray.data.jpeg import jpeg_head
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.shards.jpeg import encode
from imgcls_ray.data.sources import Split
from imgcls_ray.errors import DataError, ImageError, SettingsError
from imgcls_ray.storage import Storage
from imgcls_ray.use.origin import find_origin

if TYPE_CHECKING:
    from imgcls_ray.bundle.export.job import Export

FITTING, JUDGING, ENCODED = 200, 1000, 100
"""At most as many pictures: to choose integers by, to be judged on, to compare decoders with."""
_BASELINE = 0xC0
_LARGER = 3
"""How much larger than the network's pictures the JPEGs are that are made where none are given."""


@dataclass(frozen=True)
class Given:
    """Where pictures may come from, beside the bundle's own eight."""

    data: Path | None = None
    """A preprocessed set, whose training pictures choose integers and whose others judge."""
    pictures: Path | None = None
    """A folder of JPEG and PNG files to compare decoders with."""
    storage: Path | None = None
    """A storage root: the set that the model was made of is looked for there when `data` is None."""


def export(bundle: Bundle, format: str, out: Path, given: Given = Given()) -> "Export":
    """Write `bundle` to `out` in one of the formats of docs/export.md, judged against the bundle before it counts.

    Raises:
        SettingsError: no such format, a package is missing, the name does not fit the format, or `given.pictures` says
            nothing of it.
        DataError: `given.data` is no set that fits the bundle, or `given.pictures` holds no pictures.
        StorageError: something is at `out` already, or it can't be written.
        ModelError: the export answers otherwise than the bundle; nothing was written.
    """
    from imgcls_ray.bundle.export.job import check_place, export_bundle

    kind = exporter(format)
    check_place(kind, out)
    if given.pictures and not kind.reads_files:
        raise SettingsError(
            f"Pictures are for a format that decodes files itself, saved_model; '{format}' takes decoded ones: leave "
            "--pictures out."
        )
    return export_bundle(bundle, kind, out, gather(bundle, given))


def gather(bundle: Bundle, given: Given) -> Pictures:
    """The pictures that `given` leads to, decoded for `bundle`.

    Raises:
        DataError: as `export`.
    """
    golden, _ = read_golden(bundle.path / GOLDEN)
    folder = _checked(given.data, bundle) if given.data else _found(given.storage, bundle)
    none = golden[:0]
    if folder is None:
        fitting, judging, source = golden, none, "the golden pictures of the bundle"
    else:
        fitting = _pictures(folder, ("train",), FITTING)
        judging = _pictures(folder, ("test", "val"), JUDGING)
        source = f"{len(judging)} held-out pictures of the set {read_index(folder).name}"
    if given.pictures:
        files = _encoded(given.pictures)
        encoded, said = files, f"{len(files)} files of {given.pictures.name}"
    else:
        shown = judging if len(judging) else golden
        encoded = tuple(encode(_enlarged(image)) for image in shown[:ENCODED])
        said = f"{len(encoded)} pictures of the model's size, made {_LARGER} times as large and encoded as JPEG"
    return Pictures(fitting, judging, source, encoded, said, held_out=folder is not None)


def _checked(folder: Path, bundle: Bundle) -> Path:
    index = read_index(folder)
    if (index.labels, index.pixels) != (bundle.labels, bundle.pixels):
        raise DataError(
            f"An export is judged on a set with the model's classes and pixel operations; {folder} has others: "
            "preprocess the pictures with the model's settings, or leave --data out."
        )
    damaged = next((entry.file for entry in index.shards if not shard_is_whole(folder, entry)), None)
    if damaged:
        raise DataError(f"{folder / damaged} is not the file that was written: it is damaged or cut; preprocess again.")
    return folder


def _found(storage: Path | None, bundle: Bundle) -> Path | None:
    """The set that the model was made of, where it is at hand; pictures that it got since keep to its splits."""
    origin = find_origin(Storage(storage), bundle.card) if storage else None
    try:
        return _checked(origin.folder, bundle) if origin else None
    except DataError as error:
        logging.getLogger(__name__).info("%s", error)
        return None


def _pictures(folder: Path, splits: tuple[Split, ...], most: int) -> np.ndarray:
    """The first pictures (n, H, W, C) of the splits; shards are in no order of classes."""
    index = read_index(folder)
    found, left = [], most
    for entry in (entry for split in splits for entry in index.of(split)):
        if left > 0:
            found.append(read_shard(folder, entry, index.format).images[:left])
            left -= len(found[-1])
    if not found:
        raise DataError(f"{folder} has no pictures in {' or '.join(splits)}; preprocess with such a split.")
    return np.concatenate(found)


def _encoded(folder: Path) -> tuple[bytes, ...]:
    """The first baseline JPEGs without EXIF orientation, and PNGs, below `folder`."""
    if not folder.is_dir():
        raise DataError(f"Pictures to compare decoders with lie in a folder; received '{folder}', which is none.")
    found: list[bytes] = []
    for path in sorted(folder.rglob("*")):
        if len(found) < ENCODED and path.is_file() and _is_plain(data := path.read_bytes()):
            found.append(data)
    if not found:
        raise DataError(f"'{folder}' holds no baseline JPEG without EXIF and no PNG to compare decoders with.")
    return tuple(found)


def _is_plain(data: bytes) -> bool:
    try:
        name = sniff(data)
    except ImageError:
        return False
    if name == "JPEG":
        head = jpeg_head(data)
        return head.frame == _BASELINE and not head.exif and len(head.sampling) in (1, 3)
    return name == "PNG"


def _enlarged(image: np.ndarray) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    large = cv2.resize(image, (_LARGER * width, _LARGER * height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large).reshape(_LARGER * height, _LARGER * width, image.shape[2])
