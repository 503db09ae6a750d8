import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONG = {"hyperband.py", "trials.py"}
"""They start TensorFlow again and again: half a minute and more, even so."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("benchmark", sorted(path.name for path in (ROOT / "benchmarks").glob("[!_]*.py")))
def test_every_benchmark_runs(benchmark: str) -> None:
    if benchmark in LONG and "IMGCLS_TEST_BENCHMARKS" not in os.environ:
        pytest.skip("takes long: by hand, with IMGCLS_TEST_BENCHMARKS=1")
    command = [sys.executable, str(ROOT / "benchmarks" / benchmark), "--quick"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for part in ("ours", "limit", "times ours"):
        assert part in printed
