"""A driver is killed at random moments: what it leaves is whole, and the last run ends as if nothing had happened."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgcls_ray.data.index import Index, verify
from imgcls_ray.data.preprocess import open_preprocessed
from imgcls_ray.data.shards import shard_format
from tests.conftest import write_tree

KILLS = int(os.environ.get("IMGCLS_TEST_KILLS", "3"))
"""More of them by hand: each takes a few seconds."""

DRIVER = """
import sys
from pathlib import Path
from imgcls_ray.config import PreprocessSettings
from imgcls_ray.pipeline.ingestion import ingest
settings = PreprocessSettings(image_size=64, shard_mb=0.4, near_duplicates=False)
ingest(sys.argv[1], Path(sys.argv[2]), settings, address=sys.argv[3])
"""


def command(data: Path, out: Path) -> list[str]:
    import ray

    return [sys.executable, "-c", DRIVER, str(data), str(out), ray.get_runtime_context().gcs_address]


def finish(data: Path, out: Path) -> Index:
    done = subprocess.run(command(data, out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole(out)
    return open_preprocessed(out).index


def whole(out: Path) -> None:
    """Whatever bears a final name is complete."""
    for path in out.glob("*.h5"):
        shard_format("hdf5").read(path)
    if (out / "index.json").exists():
        verify(out, open_preprocessed(out).index)


@pytest.mark.usefixtures("ray_local")
@pytest.mark.timeout(60 + 30 * KILLS)
def test_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=3, each=100, size=(96, 96))
    started = time.monotonic()
    expected = finish(data, tmp_path / "expected")
    seconds = time.monotonic() - started
    for kill in range(KILLS):
        out = tmp_path / f"set{kill // 5}"  # a set is killed up to five times before it may end
        with subprocess.Popen(command(data, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            # The first part of a run is the start of Python and of Ray's client.
            time.sleep(seconds * random.uniform(0.3, 1.0))
            driver.kill()
        whole(out)
    for out in sorted(tmp_path.glob("set*")):
        assert finish(data, out) == expected
        assert not (out / ".work").exists()
        assert not list(out.glob(".*.tmp"))
