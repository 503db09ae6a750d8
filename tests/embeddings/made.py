"""A preprocessed set made by hand, so that these tests need no decoding."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from imgcls_ray.data.index import Index, ShardEntry, digest, write_index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import Counts, write_manifest
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import shard_format
from imgcls_ray.data.sources import Split
from tests.conftest import picture

LABELS = Labels.of(["daisy", "rose", "tulip"])
OPS = PixelOps(32, 40, "color")


def make_shard(folder: Path, split: Split, number: int, rows: int) -> ShardEntry:
    """Write one shard of pictures; another number has other pictures."""
    labels = np.arange(rows) % 3
    images = np.stack([picture(int(label), 100 * number + row, (32, 40)) for row, label in enumerate(labels)])
    keys = tuple(f"{LABELS.names[label]}/{number}-{row}ä.png" for row, label in enumerate(labels))
    path = folder / f"{split}-{number:05}.h5"
    shard_format("hdf5").write(path, images, labels, keys, LABELS.names)
    return ShardEntry(path.name, split, rows, path.stat().st_size, digest(path))


def with_shards(folder: Path, shards: tuple[ShardEntry, ...]) -> Preprocessed:
    """The set of these shards, with its index on disk."""
    counts: dict[Split, list[int]] = {"train": [], "val": [], "test": []}
    index = Index(LABELS, OPS, "hdf5", "a" * 64, "made", shards, counts, write_manifest(folder, []))
    write_index(folder, index)
    rows = sum(shard.rows for shard in shards)
    return Preprocessed(folder, index, Counts(rows, rows, 0, 0), {})


def make_set(folder: Path) -> Preprocessed:
    """Two shards for training of 13 pictures each, one of 5 for validation, one of 7 for the test."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[tuple[Split, int, int]] = [("train", 0, 13), ("train", 1, 13), ("val", 2, 5), ("test", 3, 7)]
    return with_shards(folder, tuple(make_shard(folder, *part) for part in parts))


def grown(found: Preprocessed, rows: int) -> Preprocessed:
    """The set with one more shard for training."""
    return with_shards(found.path, (*found.index.shards, make_shard(found.path, "train", 9, rows)))


def other_pixels(found: Preprocessed) -> Preprocessed:
    """The same set said to be gray."""
    return replace(found, index=replace(found.index, pixels=replace(found.index.pixels, colorspace="grayscale")))
