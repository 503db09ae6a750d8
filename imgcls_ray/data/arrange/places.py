"""Where each picture goes: `SPLIT/CLASS/name`, names kept as far as they differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from imgcls_ray.data.collect.folder import SUFFIXES
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.sources.listing import counts
from imgcls_ray.errors import DataError

_LONGEST = 255  # bytes of a name, on every common file system
_STEM_BYTES = 150
_SUFFIXES = {*SUFFIXES.values(), ".jpeg", ".tiff"}
_UNUSUAL = re.compile(r"[^\w.+-]+")


def check_class(name: str) -> None:
    """Refuse a class that no folder can be named after.

    Raises:
        DataError: it says why.
    """
    if "/" in name or "\0" in name or not counts(name) or len(name.encode(errors="replace")) > _LONGEST:
        raise DataError(
            "Each class becomes a folder, so its name has at most 255 bytes and no '/', and does not begin with a dot; "
            f"received '{name[:80]}': rename it in the data."
        )


def with_places(
    rows: Sequence[ManifestRow], placed: Mapping[str, ManifestRow], folder: Path, files: bool
) -> list[ManifestRow]:
    """The settled rows, with their places in `shard`; who has one (`placed`, by sha256) keeps it, if it still fits.

    Of several pictures that would have the same name, the first by path gets it; the others get a part of their hash.
    A file in `folder` that is in no record counts as taken: it is never written over.
    Of `files` the names are kept; else they are made of the path.
    """
    result = [replace(row, shard=None) for row in rows]
    taken: set[str] = set()
    waiting = []
    for number, row in enumerate(rows):
        if row.status != "used" or not row.split:
            continue
        before = placed.get(row.sha256 or "")
        if before and (before.split, before.label) == (row.split, row.label) and before.shard:
            result[number] = replace(row, shard=before.shard)
            taken.add(before.shard)
        else:
            waiting.append(number)
    for number in sorted(waiting, key=lambda n: rows[n].path):
        row = rows[number]
        name = file_name(row.path, row.format, files)
        place = f"{row.split}/{row.label}/{name}"
        if place in taken or (folder / place).exists():
            stem, dot, suffix = name.rpartition(".")
            stem, end = (stem, dot + suffix) if stem and len(suffix) < 8 else (name, "")
            short = stem.encode()[:_STEM_BYTES].decode(errors="ignore")
            place = f"{row.split}/{row.label}/{short}-{(row.sha256 or '')[:16]}{end}"
        taken.add(place)
        result[number] = replace(row, shard=place)
    return result


def file_name(path: str, picture: str | None, files: bool) -> str:
    """The name of the file for a picture of format `picture`: the one it has, if it is of `files`, else a usual one."""
    if files:
        return _visible(PurePosixPath(path).name)
    name = _visible(_UNUSUAL.sub("-", PurePosixPath(path.split("?")[0]).name).strip("-"))
    if PurePosixPath(name).suffix.lower() in _SUFFIXES:
        return name
    return name + SUFFIXES.get(picture or "", "")


def _visible(name: str) -> str:
    return name if name and counts(name) else f"picture-{name.lstrip('.')}"
