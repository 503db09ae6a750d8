import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("benchmark", sorted(path.name for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_runs(benchmark: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / benchmark), "--quick"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for part in ("ours", "limit", "times ours"):
        assert part in printed
