"""Samples of one split, handed to the training loop in chunks that fit into memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from imgcls_ray.data.index import Index, ShardEntry, read_index
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.sources import Split
from imgcls_ray.training.job import TrialData

CHUNK_BYTES = 512_000_000
"""Pictures held at once by a feed: a smaller split stays in memory, a larger one is read anew each epoch."""


class Chunk(NamedTuple):
    """Samples (n, ...) of any dtype, labels (n,) int64 and the order (n,) int32 in which to take them."""

    samples: tf.Tensor
    labels: tf.Tensor
    order: np.ndarray


class Feed(ABC):
    """One split. The same `seed` gives the same order, on every worker."""

    rows: int

    @abstractmethod
    def chunks(self, seed: int | None) -> Iterator[Chunk]:
        """All samples once: shuffled by `seed`, or in the order of storage where it is None."""


class MemoryFeed(Feed):
    """Arrays that fit into memory: one chunk, converted once."""

    def __init__(self, samples: np.ndarray, labels: np.ndarray) -> None:
        self.rows = len(labels)
        self._samples = tf.constant(samples)
        self._labels = tf.constant(labels)

    def chunks(self, seed: int | None) -> Iterator[Chunk]:
        yield Chunk(self._samples, self._labels, _order(self.rows, seed))


class ShardFeed(Feed):
    """Shards that do not fit: some at a time, shards shuffled first, then the samples of those in memory."""

    def __init__(self, folder: Path, index: Index, split: Split, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.rows = index.rows(split)
        self._folder, self._format, self._shards = folder, index.format, index.of(split)
        row_bytes = int(np.prod(index.pixels.shape))
        self._chunk_rows = max(1, chunk_bytes // row_bytes)

    def chunks(self, seed: int | None) -> Iterator[Chunk]:
        group: list[ShardEntry] = []
        for position in _order(len(self._shards), seed):
            shard = self._shards[position]
            if group and sum(entry.rows for entry in group) + shard.rows > self._chunk_rows:
                yield self._read(group, seed)
                group = []
            group.append(shard)
        if group:
            yield self._read(group, seed)

    def _read(self, entries: list[ShardEntry], seed: int | None) -> Chunk:
        shards = [read_shard(self._folder, entry, self._format) for entry in entries]
        images = np.concatenate([shard.images for shard in shards])
        labels = np.concatenate([shard.labels for shard in shards])
        return Chunk(tf.constant(images), tf.constant(labels), _order(len(labels), seed))


def _order(rows: int, seed: int | None) -> np.ndarray:
    if seed is None:
        return np.arange(rows, dtype=np.int32)
    return np.random.default_rng(seed).permutation(rows).astype(np.int32)


def open_feed(data: TrialData, split: Split) -> Feed:
    """The feed of a split: of its embeddings where there are any, else of its pictures."""
    if data.embeddings is not None:
        return MemoryFeed(*data.embeddings.load(split))
    index = read_index(data.path)
    feed = ShardFeed(data.path, index, split)
    if feed.rows * int(np.prod(index.pixels.shape)) > CHUNK_BYTES:
        return feed
    chunk = next(feed.chunks(None))
    return MemoryFeed(chunk.samples, chunk.labels)
