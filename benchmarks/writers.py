"""Many studies at once into one SQLite database: is all of it there, and how long does it hold up who tells it?

    python benchmarks/writers.py [--writers 32] [--metrics 20] [--quick]

Each writer is a process with a study of one trial, which tells one metric after another. All of them find no database
and open it at once; then they start together. Ours goes through `Tracker`, as a study does; the rival calls MLflow's
`log_metric`, which returns when it is written; the limit is one process that writes as many rows with the module
sqlite3, a commit each. Given are the seconds until all is written, the metrics that are missing when each is read back,
and the longest that one call held its caller up.
"""

import argparse
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier

from imgcls_ray.config import TrackingSettings, TrialSettings
from imgcls_ray.search.listener import StudyInfo
from imgcls_ray.tracking.client import quiet
from imgcls_ray.tracking.tracker import Tracker

METRIC = "val_loss"
DATA = {"name": "pictures", "train_fingerprint": "1" * 64, "val_fingerprint": "2" * 64, "test_fingerprint": "3" * 64}
"""All writers search on one data set."""
Write = Callable[[int, str, int], tuple[float, float, float]]
"""From the writer's number, the storage and the count of metrics to the longest call, the start and the end."""
_barrier: Barrier


def main() -> int:
    """Measure and print; 1 when one of ours is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="2 writers: only shows that it runs")
    given = parser.parse_args()
    writers = 2 if given.quick else given.writers
    lost, seconds = {}, {}
    for name, write in (("ours", ours), ("rival", rival)):
        with tempfile.TemporaryDirectory() as storage:
            held, seconds[name] = together(write, writers, storage, given.metrics)
            lost[name] = missing(Path(storage), writers, given.metrics)
        print(
            f"{name:<6} {writers} writers of {given.metrics} metrics: {seconds[name]:.1f} s, {lost[name]} missing, "
            f"longest call {1e3 * held:.1f} ms"
        )
    limit = plain(writers * given.metrics)
    print(f"limit  {writers * given.metrics} rows by one process: {limit:.2f} s")
    print(f"rival {seconds['rival'] / seconds['ours']:.2f} times ours, limit {limit / seconds['ours']:.3f} times ours")
    return 1 if lost["ours"] else 0


def together(write: Write, writers: int, storage: str, metrics: int) -> tuple[float, float]:
    """The longest call of all processes, and the seconds from the start of the first to the end of the last."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(writers)
    with ProcessPoolExecutor(writers, context, _begin, (barrier,)) as pool:
        found = list(pool.map(write, range(writers), [storage] * writers, [metrics] * writers))
    return max(held for held, _, _ in found), max(end for _, _, end in found) - min(began for _, began, _ in found)


def _begin(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def ours(writer: int, storage: str, metrics: int) -> tuple[float, float, float]:
    """One study; the longest call, its start and its end in seconds of the machine's clock."""
    longest = 0.0
    tracker = Tracker(Path(storage), TrackingSettings())
    listener = tracker.listener()
    _barrier.wait()
    began = time.monotonic()
    listener.study_started(StudyInfo(f"study-{writer}", 1, {}, DATA))
    listener.trial_started(0, TrialSettings())
    for step in range(1, metrics + 1):
        before = time.monotonic()
        listener.epoch_ended(0, step, {METRIC: value(writer, step)})
        longest = max(longest, time.monotonic() - before)
    tracker.close()
    return longest, began, time.monotonic()


def rival(writer: int, storage: str, metrics: int) -> tuple[float, float, float]:
    """The same by MLflow's client."""
    longest = 0.0
    tracker = Tracker(Path(storage), TrackingSettings())
    with quiet():
        run = tracker.client.create_run("1", tags={"imgcls.study": f"study-{writer}"}).info.run_id
        _barrier.wait()
        began = time.monotonic()
        for step in range(1, metrics + 1):
            before = time.monotonic()
            tracker.client.log_metric(run, METRIC, value(writer, step), step=step)
            longest = max(longest, time.monotonic() - before)
    return longest, began, time.monotonic()


def value(writer: int, step: int) -> float:
    """A number that no other writer and step has."""
    return writer + step / 1000


def missing(storage: Path, writers: int, metrics: int) -> int:
    """How many of the metrics are not there with their values, or are there twice."""
    with sqlite3.connect(storage / "mlflow.db") as database:
        rows = database.execute("SELECT value, step FROM metrics WHERE key = ?", (METRIC,)).fetchall()
    database.close()
    expected = {(value(writer, step), step) for writer in range(writers) for step in range(1, metrics + 1)}
    return len(expected - set(rows)) + len(rows) - len(set(rows))


def plain(rows: int) -> float:
    """Seconds to write so many rows, a commit each."""
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "plain.db")
        database.execute("CREATE TABLE metrics (key TEXT, value REAL, step INTEGER)")
        began = time.monotonic()
        for step in range(rows):
            database.execute("INSERT INTO metrics VALUES (?, ?, ?)", (METRIC, 0.5, step))
            database.commit()
        seconds = time.monotonic() - began
        database.close()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
