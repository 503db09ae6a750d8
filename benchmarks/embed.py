"""Embedding a preprocessed set: ours from shards on disk to embeddings on disk, Keras' `predict`, the limit.

    python benchmarks/embed.py [--quick] [--backbone NAME] [--weights SOURCE] [--engine NAME] [--precision NAME]

The rival is `keras.Model.predict` on the same pictures, which are in memory already, and writes nothing; what it costs
to build and trace is left out. The limit is OpenVINO alone on the same pictures in memory, on all CPUs. Ray is up
before ours begins; its time holds everything from there on: conversion, workers that start, shards read, files written.
Rounds of all three take turns, and the ratios are the medians of each round's own: these are what to compare.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from imgcls_ray.data.preprocess import Preprocessed


class Scale(NamedTuple):
    """How much is done."""

    rows: int
    per_shard: int
    size: int
    rounds: int


QUICK = Scale(rows=24, per_shard=12, size=32, rounds=1)
WHOLE = Scale(rows=10_240, per_shard=512, size=224, rounds=3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few small pictures: to see that it runs")
    parser.add_argument("--backbone", default="mobilenet_v2_1.0", help="a name in docs/backbones.md")
    parser.add_argument("--weights", default="none", help="none, imagenet or a path")
    parser.add_argument("--engine", default="auto", help="of ours: auto, tensorflow or openvino")
    parser.add_argument("--precision", default="float32", help="of ours and of the limit: float32 or bfloat16")
    parser.add_argument("--rows", type=int, help=f"pictures (default {WHOLE.rows})")
    parser.add_argument("--rounds", type=int, help=f"rounds (default {WHOLE.rounds})")
    options = parser.parse_args()
    scale = QUICK if options.quick else WHOLE
    scale = scale._replace(rows=options.rows or scale.rows, rounds=options.rounds or scale.rounds)
    with tempfile.TemporaryDirectory() as folder, _ray():
        runs = _contenders(Path(folder), scale, options)
        seconds = [[_seconds(run, number) for run in runs] for number in range(scale.rounds)]
    ours, rival, limit = (statistics.median(times) for times in zip(*seconds, strict=True))
    against_rival = statistics.median(times[1] / times[0] for times in seconds)
    against_limit = statistics.median(times[2] / times[0] for times in seconds)
    print(f"{options.backbone} at {scale.size} px, {scale.rows} pictures, {scale.rounds} rounds")
    print(f"ours, shards to files      {ours:8.2f} s {scale.rows / ours:8.0f} a second")
    print(
        f"Keras predict, in memory   {rival:8.2f} s {scale.rows / rival:8.0f} a second {against_rival:6.2f} times ours"
    )
    print(
        f"limit, OpenVINO in memory  {limit:8.2f} s {scale.rows / limit:8.0f} a second {against_limit:6.2f} times ours"
    )


def _contenders(folder: Path, scale: Scale, options: argparse.Namespace) -> list[Callable[[int], object]]:
    import os

    from imgcls_ray import quiet
    from imgcls_ray.embeddings.export import export
    from imgcls_ray.embeddings.job import EmbeddingJob
    from imgcls_ray.models.weights import resolve_weights

    quiet.import_tensorflow()
    from imgcls_ray.embeddings.network import network
    from imgcls_ray.inference.conversion import convert
    from imgcls_ray.inference.openvino import OpenVinoEngine

    found, images = _set(folder / "set", scale)
    weights = resolve_weights(options.backbone, (options.weights,))
    job: EmbeddingJob = EmbeddingJob.of(found, options.backbone, weights, precision=options.precision)
    model = network(job)
    limit = OpenVinoEngine(convert(model), os.cpu_count() or 1, options.precision)
    limit.warm_up()
    model.predict(images[:32], verbose=0)  # traces

    def ours(number: int) -> object:
        out = folder / f"out-{number}"
        return export(found, options.backbone, weights, out, engine=options.engine, precision=options.precision)

    return [ours, lambda _: model.predict(images, verbose=0), lambda _: limit.predict(images)]


def _set(folder: Path, scale: Scale) -> "tuple[Preprocessed, np.ndarray]":
    """A preprocessed set of noise, and its pictures in memory."""
    import numpy as np

    from imgcls_ray.data.index import Index, ShardEntry, digest
    from imgcls_ray.data.labels import Labels
    from imgcls_ray.data.manifest import Counts
    from imgcls_ray.data.pixels import PixelOps
    from imgcls_ray.data.preprocess import Preprocessed
    from imgcls_ray.data.shards import shard_format

    folder.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (scale.rows, scale.size, scale.size, 3), dtype=np.uint8)
    labels = rng.integers(0, 5, scale.rows)
    names = Labels.of("abcde")
    shards = []
    for number, start in enumerate(range(0, scale.rows, scale.per_shard)):
        part = slice(start, start + scale.per_shard)
        path = folder / f"train-{number:05}.h5"
        keys = tuple(map(str, range(start, start + len(labels[part]))))
        shard_format("hdf5").write(path, images[part], labels[part], keys, names.names)
        shards.append(ShardEntry(path.name, "train", len(keys), path.stat().st_size, digest(path)))
    ops = PixelOps(scale.size, scale.size, "color")
    counts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    index = Index(names, ops, "hdf5", "", "noise", tuple(shards), counts, "")  # type: ignore[arg-type]
    return Preprocessed(folder, index, Counts(scale.rows, scale.rows, 0, 0), {}), images


@contextmanager
def _ray() -> Iterator[None]:
    from imgcls_ray.jobs.connection import cluster

    with cluster("local"):
        import ray

        # Up means that a worker runs, not only that it may be started.
        ray.get(ray.remote(lambda: None).remote())
        yield


def _seconds(run: Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    run(number)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
