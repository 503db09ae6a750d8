"""Embeddings: the frozen features of a preprocessed set, one file per shard, kept by content."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.sources import SPLITS, Split
from imgcls_ray.embeddings.files import damaged, read_npz
from imgcls_ray.inference.base import EngineName, Precision
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
    precision: Precision = "float32"
    engine: EngineName | None = None
    """What computed them; None where all were there."""

    def parts(self, split: Split, views: int = 0) -> list[tuple[ShardEntry, Path]]:
        """Shards of a split and their files (`.npz`: `features`, `labels`, `keys`); of `train` with `views` more."""
        parts = parts_of(self.index, views)
        return [(entry, self.folder / file_of(entry, view)) for entry, view in parts if entry.split == split]

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
    x, y = read_npz(path)
    if len(x) != entry.rows or y.shape != (entry.rows,):
        raise damaged(path, f"it holds {x.shape} features")
    return x, y


def parts_of(index: Index, views: int) -> Iterator[tuple[ShardEntry, int]]:
    """Each shard and view of a set, view 0 first: augmented views are there for training only."""
    for split in SPLITS:
        for view in range(views + 1 if split == "train" else 1):
            for entry in index.of(split):
                yield entry, view


def file_of(entry: ShardEntry, view: int) -> str:
    """The name of the file of one view of a shard."""
    return f"{entry.sha256}.view-{view}.npz"
