"""The manifest: one row per file found, with what became of it. Every later count comes from here."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.sources import Split
from imgcls_ray.errors import DataError

MANIFEST = "manifest.parquet"
Raw = bytes  # the row has a field of that name
Status = Literal["used", "rejected", "duplicate"]

_TYPES = {
    "bytes": pa.int64(),
    "width": pa.int32(),
    "height": pa.int32(),
    "row": pa.int32(),
    "mtime_ns": pa.int64(),
    "signature": pa.binary(),
    "decoded": pa.bool_(),
}


@dataclass(frozen=True)
class ManifestRow:
    """One file. What was not learned before it was refused is None."""

    path: str
    """Relative to the data folder."""
    label: str
    split: Split | None
    sha256: str | None
    """Of the file's bytes, in hex."""
    width: int | None
    """In pixels, as stored (before EXIF orientation)."""
    height: int | None
    bytes: int
    status: Status
    reason: str | None = None
    """Why it is not used."""
    shard: str | None = None
    """File that holds its pixels."""
    row: int | None = None
    """Its place in the shard."""
    given: Split | None = None
    """The split that the source names; None where it names none."""
    format: str | None = None
    """`JPEG`, `PNG`, ... as its bytes tell."""
    decoded: bool = False
    """Whether its bytes are a usable picture, used or not."""
    group: str | None = None
    """Pictures of one group stay in one split: given by the source, or found by likeness."""
    given_group: str | None = None
    """The group that the source names; None where it names none."""
    phash: str | None = None
    """Perceptual hash of the picture, 16 hex digits."""
    signature: Raw | None = None
    """What a likeness is confirmed by; see `data.similarity`."""
    mtime_ns: int = 0
    """When the file was changed last, as the source tells it."""


def cause(reason: str) -> str:
    """A reason without its particulars, to count by: `too many pixels (9x9; max_pixels is 64)` -> `too many pixels`."""
    return reason.partition(" (")[0].partition(": ")[0]


@dataclass(frozen=True)
class Counts:
    """`found` = `used` + `rejected` + `duplicates`."""

    found: int
    used: int
    rejected: int
    duplicates: int


def count(rows: Iterable[ManifestRow]) -> Counts:
    """Files by what became of them."""
    by = Counter(row.status for row in rows)
    return Counts(by.total(), by["used"], by["rejected"], by["duplicate"])


def write_manifest(folder: Path, rows: list[ManifestRow]) -> str:
    """Write `manifest.parquet` into `folder`; returns its sha256."""
    names = [field.name for field in fields(ManifestRow)]
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])
    table = pa.table({name: [getattr(row, name) for row in rows] for name in names}, schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data = sink.getvalue().to_pybytes()
    write_atomic(folder / MANIFEST, data)
    return hashlib.sha256(data).hexdigest()


def read_manifest(folder: Path) -> list[ManifestRow]:
    """The rows of `folder`'s manifest, sorted by path.

    Raises:
        DataError: there is none, or it is damaged.
    """
    try:
        return [ManifestRow(**row) for row in pq.read_table(folder / MANIFEST).to_pylist()]
    except (OSError, pa.ArrowException, TypeError) as error:
        raise DataError(
            f"A preprocessed set needs its {MANIFEST}; the one in {folder} can't be read ({error}): preprocess again."
        ) from error
