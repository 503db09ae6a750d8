"""Samples of one split, handed to the training loop in chunks that fit into memory."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from imgcls_ray.data.index import read_index
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.sources import Split
from imgcls_ray.embeddings.store import read_part
from imgcls_ray.training.job import TrialJob

CHUNK_BYTES = 512_000_000
"""Samples held at once by a feed: a smaller split stays in memory, a larger one is read anew each epoch."""

Arrays = tuple[np.ndarray, np.ndarray]
"""Samples (n, ...) of any dtype and labels (n,) int64."""


class Chunk(NamedTuple):
    """Samples (n, ...) of any dtype, labels (n,) int64 and the order (n,) int32 in which to take them."""

    samples: tf.Tensor
    labels: tf.Tensor
    order: np.ndarray


class Feed(ABC):
    """One split. The same `seed` gives the same order, on every worker."""

    rows: int
    bytes: int
    """Of what it holds in memory."""

    @abstractmethod
    def chunks(self, seed: int | None) -> Iterator[Chunk]:
        """All samples once: shuffled by `seed`, or in the order of storage where it is None."""


class MemoryFeed(Feed):
    """Arrays that fit into memory: one chunk, converted once."""

    def __init__(self, samples: np.ndarray, labels: np.ndarray) -> None:
        self.rows, self.bytes = len(labels), samples.nbytes
        self._samples = tf.constant(samples)
        self._labels = tf.constant(labels)

    def chunks(self, seed: int | None) -> Iterator[Chunk]:
        yield Chunk(self._samples, self._labels, _order(self.rows, seed))


class Part(NamedTuple):
    """One file of a split."""

    rows: int
    read: Callable[[], Arrays]


class PartsFeed(Feed):
    """Files that do not fit: some at a time, files shuffled first, then the samples of those in memory."""

    def __init__(self, parts: Sequence[Part], chunk_rows: int) -> None:
        self.rows, self.bytes = sum(part.rows for part in parts), 0
        self._parts, self._chunk_rows = parts, chunk_rows

    def chunks(self, seed: int | None) -> Iterator[Chunk]:
        group: list[Part] = []
        for position in _order(len(self._parts), seed):
            part = self._parts[position]
            if group and sum(other.rows for other in group) + part.rows > self._chunk_rows:
                yield _read(group, seed)
                group = []
            group.append(part)
        if group:
            yield _read(group, seed)


def open_feed(
    job: TrialJob,
    split: Split,
    advance: Callable[[np.ndarray], np.ndarray] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Feed:
    """The feed of a split: of what the frozen backbone made of it, where there is one, else of its pictures.

    `advance` takes stored maps further through the backbone, up to where the trial trains.
    """
    parts = _parts(job, split)
    row_bytes = _row_bytes(parts[0], advance) if parts else 1
    parts = [Part(part.rows, partial(_advanced, part, advance)) for part in parts] if advance else parts
    feed = PartsFeed(parts, max(1, chunk_bytes // row_bytes))
    if feed.rows * row_bytes > chunk_bytes:
        return feed
    arrays = [part.read() for part in parts]
    return MemoryFeed(np.concatenate([x for x, _ in arrays]), np.concatenate([y for _, y in arrays]))


def _parts(job: TrialJob, split: Split) -> list[Part]:
    embeddings = job.data.embeddings
    if embeddings is not None:
        files = embeddings.parts(split, job.settings.views)
        return [Part(entry.rows, partial(read_part, entry, path)) for entry, path in files]
    index = read_index(job.data.path)

    def pictures(number: int) -> Arrays:
        shard = read_shard(job.data.path, index.of(split)[number], index.format)
        return shard.images, shard.labels

    return [Part(entry.rows, partial(pictures, number)) for number, entry in enumerate(index.of(split))]


def _advanced(part: Part, advance: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    samples, labels = part.read()
    return advance(samples), labels


def _row_bytes(part: Part, advance: Callable[[np.ndarray], np.ndarray] | None) -> int:
    row = part.read()[0][:1]
    return (advance(row) if advance else row).nbytes


def _read(parts: Sequence[Part], seed: int | None) -> Chunk:
    arrays = [part.read() for part in parts]
    labels = np.concatenate([y for _, y in arrays])
    return Chunk(tf.constant(np.concatenate([x for x, _ in arrays])), tf.constant(labels), _order(len(labels), seed))


def _order(rows: int, seed: int | None) -> np.ndarray:
    if seed is None:
        return np.arange(rows, dtype=np.int32)
    return np.random.default_rng(seed).permutation(rows).astype(np.int32)
