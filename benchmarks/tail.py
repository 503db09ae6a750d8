"""An epoch of fine-tuning the last layers of a backbone: ours on stored maps, Keras' `fit` on the pictures, the limit.

    python benchmarks/tail.py [--quick]

The rival trains the same layers of the same network as Keras' guide to transfer learning does: the first layers frozen,
`fit` on the pictures. The limit is our training step on one batch that never changes. Prints seconds and ratios, the
median of the epochs after the first; the ratios are what to compare.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from imgcls_ray import quiet

NAME = "mobilenet_v2_0.35"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few pictures and epochs: to see that it runs")
    parser.add_argument("--size", type=int, default=96, help="height and width in pixels")
    parser.add_argument("--unfrozen", type=int, default=10, help="layers with a kernel that are trained")
    options = parser.parse_args()
    rows, epochs = (64, 2) if options.quick else (2048, 4)
    quiet.import_tensorflow()
    ours, limit, rival = (
        statistics.median(_seconds(run, epochs)) for run in _contenders(rows, options.size, options.unfrozen)
    )
    print(f"{NAME} at {options.size} px, last {options.unfrozen} layers, {rows} pictures an epoch")
    print(f"ours, on stored maps       {ours:8.3f} s")
    print(f"Keras fit, on the pictures {rival:8.3f} s   {rival / ours:6.1f} times ours")
    print(f"limit, one batch again     {limit:8.3f} s   {limit / ours:6.2f} times ours")


def _contenders(rows: int, size: int, unfrozen: int) -> list[Callable[[], object]]:
    import keras
    import numpy as np

    from imgcls_ray.config import Size, TrialSettings
    from imgcls_ray.models.features import build_features
    from imgcls_ray.models.network import build_head
    from imgcls_ray.models.tail import section, trainable_copy, trunk
    from imgcls_ray.models.weights import NO_WEIGHTS
    from imgcls_ray.training.feed import MemoryFeed
    from imgcls_ray.training.job import TrialData, TrialJob
    from imgcls_ray.training.loop import Loop

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, size, size, 3), dtype=np.uint8)
    labels = rng.integers(0, 5, rows)
    settings = TrialSettings(backbone=NAME, unfrozen_layers=unfrozen, epochs=100)
    job = TrialJob(settings, 0, TrialData(Path(), Size(size, size), 3, 5))
    features = build_features(NAME, Size(size, size), 3, NO_WEIGHTS)
    maps = trunk(features, unfrozen).predict(images, verbose=0)

    def loop(samples: np.ndarray) -> Loop:
        tail = trainable_copy(section(features, unfrozen, 0))
        head = build_head(settings, features.output_shape[-1], 5)
        network = keras.Model(tail.input, head(tail.output))
        return Loop(job, network, MemoryFeed(samples, labels), MemoryFeed(samples[:1], labels[:1]))

    one_batch = np.broadcast_to(maps[:1], maps.shape).copy()
    head = build_head(settings, features.output_shape[-1], 5)
    whole = keras.Model(features.input, head(features.output))
    trained = {layer.name for layer in section(features, unfrozen, 0).layers}
    for layer in features.layers:
        layer.trainable = layer.name in trained and not isinstance(layer, keras.layers.BatchNormalization)
    whole.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return [
        loop(maps).train_epoch,
        loop(one_batch).train_epoch,
        lambda: whole.fit(images, labels, batch_size=settings.batch_size, verbose=0),
    ]


def _seconds(run: Callable[[], object], epochs: int) -> list[float]:
    run()  # traces and compiles
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
