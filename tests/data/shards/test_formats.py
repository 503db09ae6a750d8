"""What every shard format must do."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.data.index import ShardEntry
from imgcls_ray.data.shards import FORMATS, ShardFormat, read_shard, shard_format
from imgcls_ray.errors import DataError, SettingsError

ROOT = str(Path(__file__).parents[3])
NAMES = ("daisy", "röse")


@pytest.fixture(params=FORMATS)
def kind(request: pytest.FixtureRequest) -> ShardFormat:
    return shard_format(request.param)


def shard(rows: int = 70, shape: tuple[int, ...] = (24, 32, 3)) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    rng = np.random.default_rng(rows)
    images = rng.integers(0, 256, (rows, *shape), dtype=np.uint8)
    images[0] = 0  # trailing zeros must not get lost
    return images, rng.integers(0, 2, rows), tuple(f"röse/{'x' * (n % 7)}{n}.jpg" for n in range(rows))


@pytest.mark.parametrize(("rows", "shape"), [(70, (24, 32, 3)), (1, (8, 8, 1)), (5, (300, 400, 3)), (513, (9, 7, 1))])
def test_what_is_written_is_read(kind: ShardFormat, tmp_path: Path, rows: int, shape: tuple[int, ...]) -> None:
    images, labels, keys = shard(rows, shape)
    path = tmp_path / f"x{kind.suffix}"
    kind.write(path, images, labels, keys, NAMES)
    found = kind.read(path)
    assert np.array_equal(found.images, images)
    assert np.array_equal(found.labels, labels)
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    assert found.keys == keys
    assert list(tmp_path.iterdir()) == [path]


def test_equal_input_gives_equal_bytes(kind: ShardFormat, tmp_path: Path) -> None:
    digests = set()
    for name in ("x", "y"):
        kind.write(tmp_path / name, *shard(), NAMES)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_neither_time_nor_unset_memory_gets_into_a_file(kind: ShardFormat, tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.data.shards.test_formats import NAMES, shard
from imgcls_ray.data.shards import shard_format
shard_format(sys.argv[1]).write(Path(sys.argv[2]), *shard(), NAMES)
"""
    name = next(name for name in FORMATS if shard_format(name).suffix == kind.suffix)
    files = [tmp_path / "x", tmp_path / "y"]
    for number, file in enumerate(files):
        time.sleep(number)
        # glibc fills what malloc gives with a byte that follows from this variable.
        environment = {**os.environ, "MALLOC_PERTURB_": str(85 * (number + 1)), "PYTHONPATH": ROOT}
        subprocess.run([sys.executable, "-c", program, name, str(file)], check=True, env=environment)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_class_names_are_optional(kind: ShardFormat, tmp_path: Path) -> None:
    kind.write(tmp_path / "x", *shard())
    assert len(kind.read(tmp_path / "x").keys) == 70


def test_damage_and_absence_are_data_errors(kind: ShardFormat, tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(DataError, match="preprocess again"):
        kind.read(path)
    kind.write(path, *shard(), NAMES)
    whole = path.read_bytes()
    for part in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:part])
        with pytest.raises(DataError, match="preprocess again"):
            kind.read(path)


def test_another_count_than_the_index_says_is_refused(tmp_path: Path) -> None:
    for name in FORMATS:
        kind = shard_format(name)
        path = tmp_path / f"train-00000{kind.suffix}"
        kind.write(path, *shard(), NAMES)
        entry = ShardEntry(path.name, "train", 70, path.stat().st_size, "")
        assert len(read_shard(tmp_path, entry, name).labels) == 70
        with pytest.raises(DataError, match="must hold 71 pictures and holds 70"):
            read_shard(tmp_path, ShardEntry(path.name, "train", 71, 0, ""), name)


def test_a_full_disk_leaves_nothing_behind(kind: ShardFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kind.write(tmp_path / "x", *shard(), NAMES)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_offers_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'tfrecord'"):
        shard_format("tfrecords")
