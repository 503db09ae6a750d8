"""How long one picture takes."""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from imgcls_ray.inference.base import Answering

WARM_UP, REPEATS, ROUNDS = 5, 31, 3


def latency_ms(engine: Answering, shape: tuple[int, ...]) -> float:
    """Milliseconds from one picture (H, W, C) uint8 to its answer: the median of 31 calls after 5 that do not count.

    Nothing else may run on the CPUs that the engine has, or their load is in the figure.
    """
    image = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    for _ in range(WARM_UP):
        engine.predict(image)
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        engine.predict(image)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def side_by_side(rivals: Sequence[tuple[Answering, tuple[int, ...]]]) -> list[float]:
    """Milliseconds for one picture of each rival, given with its shape (H, W, C).

    They take turns, so that what else the machine does slows all of them alike. Of three rounds, each the median of 31
    turns, the fastest counts: load only ever adds.
    """
    generator = np.random.default_rng(0)
    turns = [(model, generator.integers(0, 256, (1, *shape), dtype=np.uint8)) for model, shape in rivals]
    for model, image in turns * WARM_UP:
        model.predict(image)
    rounds = []
    for _ in range(ROUNDS):
        times = np.empty((REPEATS, len(turns)))
        for row in times:
            for place, (model, image) in enumerate(turns):
                started = time.perf_counter()
                model.predict(image)
                row[place] = time.perf_counter() - started
        rounds.append(np.median(times, axis=0))
    return [float(1000 * best) for best in np.min(rounds, axis=0)]
