"""What every shard format must do, in every encoding."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgcls_ray.data.files import Written
from imgcls_ray.data.index import Index, ShardEntry, digest, verify
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.shards import FORMATS, Encoding, Shard, read_shard, shard_format
from imgcls_ray.errors import DataError, SettingsError

ROOT = str(Path(__file__).parents[3])
NAMES = ("daisy", "röse")
ENCODINGS: tuple[Encoding, ...] = ("raw", "jpeg")


@dataclass(frozen=True)
class Kind:
    """One member of the suite."""

    format: str
    encoding: Encoding

    @property
    def suffix(self) -> str:
        return shard_format(self.format).suffix

    def write(self, path: Path, images: np.ndarray, labels: np.ndarray, keys: tuple[str, ...]) -> Written:
        return shard_format(self.format).write(path, images, labels, keys, NAMES, self.encoding)

    def read(self, path: Path) -> Shard:
        return shard_format(self.format).read(path)


@pytest.fixture(
    params=[Kind(name, encoding) for name in FORMATS for encoding in ENCODINGS],
    ids=lambda kind: f"{kind.format}-{kind.encoding}",
)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def shard(rows: int = 70, shape: tuple[int, ...] = (24, 32, 3)) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Smooth pictures, as photographs are: JPEG keeps them within a few steps."""
    rng = np.random.default_rng(rows)
    small = rng.integers(0, 256, (rows, 3, 3, shape[2]), dtype=np.uint8)
    images = np.stack([cv2.resize(image, shape[1::-1]).reshape(shape) for image in small])
    images[0] = 0  # trailing zeros must not get lost
    return images, rng.integers(0, 2, rows), tuple(f"röse/{'x' * (n % 7)}{n}-花.jpg" for n in range(rows))


@pytest.mark.parametrize(
    ("rows", "shape"), [(70, (24, 32, 3)), (1, (8, 8, 1)), (1, (1, 1, 3)), (5, (301, 403, 3)), (513, (9, 7, 1))]
)
def test_what_is_written_is_read(kind: Kind, tmp_path: Path, rows: int, shape: tuple[int, ...]) -> None:
    images, labels, keys = shard(rows, shape)
    path = tmp_path / f"x{kind.suffix}"
    kind.write(path, images, labels, keys)
    found = kind.read(path)
    if kind.encoding == "raw":
        assert np.array_equal(found.images, images)
    else:
        assert found.images.shape == images.shape
        assert np.abs(found.images.astype(int) - images).mean() < 4
    assert np.array_equal(found.labels, labels)
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    assert found.keys == keys
    assert list(tmp_path.iterdir()) == [path]


def test_views_that_are_not_contiguous_are_written_as_they_look(kind: Kind, tmp_path: Path) -> None:
    images, labels, keys = shard(20)
    written = kind.write(tmp_path / "x", images[::-2, :, ::2], labels[::-2], keys[::-2])
    again = kind.write(tmp_path / "y", images[::-2, :, ::2].copy(), labels[::-2].copy(), keys[::-2])
    assert written == again


def test_the_digest_and_size_told_are_those_of_the_file(kind: Kind, tmp_path: Path) -> None:
    written = kind.write(tmp_path / "x", *shard(9, (301, 403, 3)))
    assert written == Written((tmp_path / "x").stat().st_size, digest(tmp_path / "x"))


def test_neither_time_nor_unset_memory_gets_into_a_file(kind: Kind, tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.data.shards.test_formats import Kind, shard
Kind(sys.argv[1], sys.argv[2]).write(Path(sys.argv[3]), *shard())
"""
    files = [tmp_path / "x", tmp_path / "y"]
    for number, file in enumerate(files):
        time.sleep(number)
        # glibc fills what malloc gives with a byte that follows from this variable.
        run(program, kind, file, MALLOC_PERTURB_=str(85 * (number + 1)))
    assert files[0].read_bytes() == files[1].read_bytes()


def run(program: str, kind: Kind, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own: format, encoding and arguments in its `sys.argv`."""
    done = subprocess.run(
        [sys.executable, "-c", program, kind.format, kind.encoding, *map(str, arguments)],
        env={**os.environ, **environment, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done


def test_writing_and_reading_take_little_more_than_the_images(kind: Kind, tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
import numpy as np
from tests.data.shards.test_formats import Kind, shard
kind, path = Kind(sys.argv[1], sys.argv[2]), Path(sys.argv[3])
kind.write(path, *shard(2))
kind.read(path)
images = np.tile(shard(10, (224, 224, 3))[0], (66, 1, 1, 1))
labels, keys = np.zeros(660, np.int64), tuple(map(str, range(660)))

def memory(name):
    text = Path("/proc/self/status").read_text()
    return int(text.split(name + ":")[1].split()[0]) * 1024 / images.nbytes

def extra(work):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    work()
    print(memory("VmHWM") - before)

extra(lambda: kind.write(path, images, labels, keys))
extra(lambda: kind.read(path))
"""
    writing, reading = map(float, run(program, kind, tmp_path / "x").stdout.split())
    assert writing < 0.4  # of the 99 MB of images, which are there before
    assert reading < 1.4


def test_class_names_are_optional(kind: Kind, tmp_path: Path) -> None:
    shard_format(kind.format).write(tmp_path / "x", *shard(), encoding=kind.encoding)
    assert len(kind.read(tmp_path / "x").keys) == 70


def test_lengths_that_differ_are_refused(kind: Kind, tmp_path: Path) -> None:
    images, labels, keys = shard()
    for wrong in ((images[1:], labels, keys), (images, labels[1:], keys), (images, labels, keys[1:])):
        with pytest.raises(ValueError, match="a label and a key for each image"):
            kind.write(tmp_path / "x", *wrong)
    with pytest.raises(ValueError, match="a label and a key for each image"):
        kind.write(tmp_path / "x", images[:0], labels[:0], ())
    assert list(tmp_path.iterdir()) == []


def test_cuts_and_absence_are_data_errors(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(DataError, match="preprocess again"):
        kind.read(path)
    kind.write(path, *shard())
    whole = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(whole), 100)
    for part in (0, 3, 100, len(whole) // 2, len(whole) - 1, *places):
        path.write_bytes(whole[:part])
        # At a border between records a cut is seen by the count only, which `read_shard` compares.
        with pytest.raises(DataError, match="preprocess again"):
            read_shard(tmp_path, ShardEntry("x", "train", 70, 0, ""), kind.format)


def test_every_flipped_bit_and_every_cut_is_found_by_the_index(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "x"
    written = kind.write(path, *shard(20))
    (tmp_path / "manifest.parquet").write_bytes(b"manifest")
    index = Index(
        labels=Labels(NAMES),
        pixels=PixelOps(24, 32, "color"),
        format=kind.format,  # type: ignore[arg-type]
        encoding=kind.encoding,
        key="f" * 64,
        fingerprint="f" * 64,
        name="x",
        shards=(ShardEntry("x", "train", 20, written.bytes, written.sha256),),
        class_counts={"train": [10, 10], "val": [0, 0], "test": [0, 0]},
        manifest_sha256=hashlib.sha256(b"manifest").hexdigest(),
    )
    verify(tmp_path, index)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    found = 0
    for position, bit in zip(rng.integers(0, len(whole), 1000), rng.integers(0, 8, 1000), strict=True):
        harmed = bytearray(whole)
        harmed[position] ^= 1 << bit
        path.write_bytes(harmed)
        with pytest.raises(DataError, match="damaged or cut"):
            verify(tmp_path, index)
        found += 1
    assert found == 1000
    for part in rng.integers(0, len(whole), 200):
        path.write_bytes(whole[:part])
        with pytest.raises(DataError, match="damaged or cut"):
            verify(tmp_path, index)
    path.write_bytes(whole)
    verify(tmp_path, index)


def test_another_count_than_the_index_says_is_refused(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / f"train-00000{kind.suffix}"
    kind.write(path, *shard())
    entry = ShardEntry(path.name, "train", 70, path.stat().st_size, "")
    assert len(read_shard(tmp_path, entry, kind.format).labels) == 70
    with pytest.raises(DataError, match="must hold 71 pictures and holds 70"):
        read_shard(tmp_path, ShardEntry(path.name, "train", 71, 0, ""), kind.format)


def test_a_full_disk_leaves_nothing_behind(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kind.write(tmp_path / "x", *shard())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [1, 5_000, 20_000])
def test_a_write_that_fails_half_way_leaves_the_earlier_file(kind: Kind, tmp_path: Path, limit: int) -> None:
    program = """
import resource, sys
from pathlib import Path
from tests.data.shards.test_formats import Kind, shard
arguments = shard()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
try:
    Kind(sys.argv[1], sys.argv[2]).write(Path(sys.argv[3]), *arguments)
except OSError as error:
    print(error.errno)
"""
    (tmp_path / "x").write_bytes(b"earlier")
    assert run(program, kind, tmp_path / "x", limit).stdout.split() == [str(errno.EFBIG)]
    assert (tmp_path / "x").read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_killed_write_leaves_nothing_under_the_name(kind: Kind, tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from tests.data.shards.test_formats import Kind, shard
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
Kind(sys.argv[1], sys.argv[2]).write(Path(sys.argv[3]), *shard())
"""
    assert run(program, kind, tmp_path / "x").returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]


def test_equal_jpegs_lie_in_both_formats(tmp_path: Path) -> None:
    images, labels, keys = shard()
    found = []
    for name in FORMATS:
        Kind(name, "jpeg").write(tmp_path / name, images, labels, keys)
        found.append(Kind(name, "jpeg").read(tmp_path / name).images)
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], images)  # it is lossy


def test_an_unknown_format_offers_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'tfrecord'"):
        shard_format("tfrecords")
