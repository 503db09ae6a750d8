import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
LONG = {
    "embed.py",
    "ensemble.py",
    "finetuning.py",
    "hyperband.py",
    "serve.py",
    "serve_faults.py",
    "stopping.py",
    "trials.py",
    "writers.py",
}
"""They start TensorFlow, MLflow or Ray, again and again: half a minute and more, even so."""
PARTS = {"serve_faults.py": ("measured", "asked")}
"""What is printed by those that have no rival."""
ALL = sorted(path.name for path in FOLDER.glob("[!_]*.py"))
RUN = [name for name in ALL if name not in LONG or "IMGCLS_TEST_BENCHMARKS" in os.environ]


def quick(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(FOLDER / name), "--quick"], capture_output=True, text=True)


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """All of them, two at a time: with --quick they only show that they run, and most of that is waiting for starts."""
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(quick, name) for name in RUN}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ALL)
def test_every_benchmark_runs(started: dict[str, Future[subprocess.CompletedProcess[str]]], name: str) -> None:
    if name not in RUN:
        pytest.skip("takes long: by hand, with IMGCLS_TEST_BENCHMARKS=1")
    done = started[name].result()
    assert done.returncode == 0, done.stderr[-4000:]
    for part in PARTS.get(name, ("ours", "limit", "times ours")):
        assert part in done.stdout
