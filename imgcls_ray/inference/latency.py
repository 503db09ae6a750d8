"""How long one picture takes."""

import statistics
import time

import numpy as np

from imgcls_ray.inference.base import Answering

WARM_UP, REPEATS = 5, 31


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
