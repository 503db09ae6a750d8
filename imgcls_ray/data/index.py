"""The index of a preprocessed set: its shards with their checksums, its classes, its pixel operations."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import MANIFEST
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.sources import SPLITS, Split
from imgcls_ray.errors import DataError

INDEX = "index.json"
FORMAT_VERSION = 2
"""Raised whenever the files of a preprocessed set change their meaning; part of each key."""


@dataclass(frozen=True)
class ShardEntry:
    """One shard file."""

    file: str
    """Its name, beside the index."""
    split: Split
    rows: int
    bytes: int
    sha256: str
    """Of the whole file, in hex; equal pictures in equal order give an equal digest."""


@dataclass(frozen=True)
class Index:
    """What `index.json` holds."""

    labels: Labels
    pixels: PixelOps
    format: Literal["hdf5", "tfrecord"]
    fingerprint: str
    """Hex digest of the pictures used, their classes and splits, and the key: equal ones train equal models."""
    name: str
    shards: tuple[ShardEntry, ...]
    class_counts: dict[Split, list[int]]
    """Pictures of each class, in the order of the labels, by split."""
    manifest_sha256: str
    encoding: Literal["raw", "jpeg"] = "raw"
    """`jpeg` is lossy: what is read back differs a little from what was decoded."""
    key: str = ""
    """Hex digest of the settings and the versions: only a set of the same key can be added to."""

    def of(self, split: Split) -> tuple[ShardEntry, ...]:
        """The shards of one split, in the order of their file names."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def rows(self, split: Split) -> int:
        """Pictures in one split."""
        return sum(shard.rows for shard in self.of(split))

    def split_fingerprint(self, split: Split) -> str:
        """Hex digest of the pictures of one split, their order and classes: equal ones measure models alike."""
        parts = (self.labels.sha256, *(shard.sha256 for shard in self.of(split)))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The document that is written."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "format": self.format,
            "encoding": self.encoding,
            "key": self.key,
            "labels": self.labels.to_json(),
            "pixels": self.pixels.to_json(),
            "class_counts": self.class_counts,
            "manifest_sha256": self.manifest_sha256,
            "shards": [asdict(shard) for shard in self.shards],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Index":
        """Read what `to_json` made.

        Raises:
            ValueError: another format version, missing keys, or damaged labels.
        """
        if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"its format_version is not {FORMAT_VERSION}")
        try:
            return cls(
                labels=Labels.from_json(document["labels"]),
                pixels=PixelOps.from_json(document["pixels"]),
                format=document["format"],
                encoding=document["encoding"],
                key=document["key"],
                fingerprint=document["fingerprint"],
                name=document["name"],
                shards=tuple(ShardEntry(**entry) for entry in document["shards"]),
                class_counts={split: list(document["class_counts"][split]) for split in SPLITS},
                manifest_sha256=document["manifest_sha256"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a key is missing or of the wrong kind: {error}") from error


def write_index(folder: Path, index: Index) -> None:
    """Write `index.json` into `folder`, whole or not at all.

    Raises:
        OSError: as the file system gives it.
    """
    write_atomic(folder / INDEX, json.dumps(index.to_json(), indent=1, ensure_ascii=False).encode())


def read_index(folder: Path) -> Index:
    """The index in `folder`; the shards are not looked at.

    Raises:
        DataError: there is none, or it can't be understood.
    """
    if not (folder / INDEX).exists():
        what = "holds none" if folder.is_dir() else "is no folder"
        raise DataError(
            f"A preprocessed set is a folder with an {INDEX}, which 'imgcls preprocess' makes of pictures; "
            f"'{folder}' {what}."
        )
    try:
        return Index.from_json(json.loads((folder / INDEX).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(
            f"A preprocessed set needs its {INDEX}; the one in {folder} can't be used ({error}): preprocess again."
        ) from error


def verify(folder: Path, index: Index) -> None:
    """Check that the manifest and every shard are the bytes that were written.

    Raises:
        DataError: one is missing, cut or changed.
    """
    expected: list[tuple[str, int | None, str]] = [(MANIFEST, None, index.manifest_sha256)]
    expected += [(shard.file, shard.bytes, shard.sha256) for shard in index.shards]
    for file, size, sha256 in expected:
        path = folder / file
        try:
            same = _same(path, size, sha256)
        except OSError as error:
            raise DataError(f"{path} can't be read ({error.strerror}); preprocess again.") from error
        if not same:
            raise DataError(f"{path} is not the file that was written: it is damaged or cut; preprocess again.")


def shard_is_whole(folder: Path, shard: ShardEntry) -> bool:
    """Whether a shard is there and the bytes that were written."""
    try:
        return _same(folder / shard.file, shard.bytes, shard.sha256)
    except OSError:
        return False


def _same(path: Path, size: int | None, sha256: str) -> bool:
    return (size is None or path.stat().st_size == size) and digest(path) == sha256


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex, without holding it in memory.

    Raises:
        OSError: as the file system gives it.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
