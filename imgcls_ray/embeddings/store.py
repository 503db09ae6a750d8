"""Embeddings: the frozen features of a preprocessed set, one file per shard, kept by content."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.sources import Split
from imgcls_ray.errors import StorageError
from imgcls_ray.models import Weights


@dataclass(frozen=True)
class Embeddings:
    """What a frozen backbone makes of the pictures of all splits, on disk."""

    folder: Path
    index: Index
    backbone: str
    weights: Weights
    features: int
    """Width of the pooled feature vector."""
    unfrozen: int
    """Layers with a kernel that come after what is stored: 0 for pooled features (n, D), else maps (n, h, w, c)."""
    views: int
    """Augmented views of each training picture, beside the picture itself."""
    computed: int
    """Files that this call computed; 0 where all were there."""

    def parts(self, split: Split, views: int = 0) -> list[tuple[ShardEntry, Path]]:
        """The files of a split and their shards: `.npz` with `features` and `labels`; of `train` with `views` more."""
        numbers = range(views + 1 if split == "train" else 1)
        return [(entry, self.folder / file_of(entry, view)) for view in numbers for entry in self.index.of(split)]

    def load(self, split: Split, views: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """All of a split as float32 (n, ...) and labels (n,) int64.

        Raises:
            StorageError: a file is missing or damaged.
        """
        read = [read_part(entry, path) for entry, path in self.parts(split, views)]
        if not read:
            return np.zeros((0, self.features), np.float32), np.zeros(0, np.int64)
        return np.concatenate([x for x, _ in read]), np.concatenate([y for _, y in read])


def read_part(entry: ShardEntry, path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """One file: float32 (n, ...) and labels (n,) int64.

    Raises:
        StorageError: it is missing or damaged.
    """
    x, y = _read(path)
    if len(x) != entry.rows or y.shape != (entry.rows,):
        raise _damaged(path, f"it holds {x.shape} features")
    return x, y


def file_of(entry: ShardEntry, view: int) -> str:
    """The name of the file of one view of a shard."""
    return f"{entry.sha256}.view-{view}.npz"


def _read(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        # Opened here, because NumPy leaves a damaged archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["features"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: object) -> StorageError:
    return StorageError(
        f"The embeddings in {path} must be the file that was written and can't be read ({reason}); "
        "delete it and run again."
    )
