from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.data import spool
from imgcls_ray.data.spool import Scanned

FOUND = [
    Scanned("a.jpg", "block", 10, "0" * 64, "JPEG", 4, 3, "f" * 16, b"\0\1", None, 0),
    Scanned("b.jpg", "block", 10, reason="empty file"),
    Scanned("c.jpg", "block", 12, "1" * 64, "PNG", 4, 3, None, None, None, 1),
]
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)


def test_findings_and_pixels_come_back(tmp_path: Path) -> None:
    spool.write(tmp_path, "block", zip(map(asdict, FOUND), (IMAGES[0], None, IMAGES[1]), strict=True))
    assert spool.read(tmp_path, "block") == spool.read(tmp_path, "block", check=True) == FOUND
    images = spool.gather(tmp_path, [("block", 1), ("block", 0), ("block", 1)], (3, 4, 3))
    assert np.array_equal(images, IMAGES[[1, 0, 1]])


def test_a_block_without_pictures_is_complete(tmp_path: Path) -> None:
    spool.write(tmp_path, "block", [(asdict(FOUND[1]), None)])
    assert spool.read(tmp_path, "block", check=True) == FOUND[1:2]


@pytest.mark.parametrize("suffix", [".u8", ".parquet"])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_damaged_block_is_none(tmp_path: Path, suffix: str, harm: str) -> None:
    spool.write(tmp_path, "block", zip(map(asdict, FOUND), (IMAGES[0], None, IMAGES[1]), strict=True))
    file = tmp_path / f"block{suffix}"
    data = file.read_bytes()
    file.write_bytes(
        data[:5] + bytes([data[5] ^ 255]) + data[6:] if harm == "changed" and suffix == ".u8" else data[:9]
    )
    if harm == "gone":
        file.unlink()
    assert spool.read(tmp_path, "block", check=True) is None


def test_a_block_of_before_a_restart_of_the_machine_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.write(tmp_path, "block", [(asdict(FOUND[1]), None)])
    monkeypatch.setattr(spool, "_boot", lambda: b"another")
    assert spool.read(tmp_path, "block", check=True) is None


def test_pixels_that_are_cut_off_are_told(tmp_path: Path) -> None:
    spool.write(tmp_path, "block", zip(map(asdict, FOUND), (IMAGES[0], None, IMAGES[1]), strict=True))
    with pytest.raises(OSError, match="cut off"):
        spool.gather(tmp_path, [("block", 2)], (3, 4, 3))
