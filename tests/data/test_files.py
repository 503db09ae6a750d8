import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcls_ray.data.files import Written, write_atomic, write_hashed


def test_parts_are_written_in_order_and_hashed(tmp_path: Path) -> None:
    parts = [b"", b"abc", memoryview(bytes(3_000_001)), b"end"]
    written = write_hashed(tmp_path / "x", iter(parts))
    whole = b"".join(parts)
    assert (tmp_path / "x").read_bytes() == whole
    assert written == Written(len(whole), hashlib.sha256(whole).hexdigest())


def test_nothing_is_a_file_too(tmp_path: Path) -> None:
    assert write_hashed(tmp_path / "x", []) == Written(0, hashlib.sha256().hexdigest())


@pytest.mark.parametrize(
    "name", ["x" * 255, "é" * 127, "薔" * 85, os.fsdecode(b"\xff.x")], ids=["plain", "accents", "ideographs", "bytes"]
)
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"content")
    assert (tmp_path / name).read_bytes() == b"content"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_an_interrupted_write_leaves_the_earlier_file(tmp_path: Path, error: BaseException) -> None:
    def parts() -> Iterator[bytes]:
        yield bytes(2_000_000)
        raise error

    (tmp_path / "x").write_bytes(b"earlier")
    with pytest.raises(type(error)):
        write_hashed(tmp_path / "x", parts())
    assert (tmp_path / "x").read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
