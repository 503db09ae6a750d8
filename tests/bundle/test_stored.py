"""A member of an archive as a file that goes back as easily as on."""

import io
import random
import zipfile
from pathlib import Path

import pytest

from imgcls_ray.bundle.stored import stored

CONTENT = random.Random(0).randbytes(10_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("first", b"before")
        archive.writestr("second", CONTENT)
        archive.writestr("packed", CONTENT * 2, zipfile.ZIP_DEFLATED)
        archive.writestr("last", b"behind")
    return tmp_path / "a.zip"


def test_it_reads_as_a_file_of_its_own(path: Path) -> None:
    random_places = random.Random(1)
    with zipfile.ZipFile(path) as archive, stored(archive, "second") as part:
        assert part.read() == CONTENT and part.read() == b""
        assert part.seek(-10, io.SEEK_END) == 9_990
        assert part.read(100) == CONTENT[-10:], "it ends where the member does"
        for _ in range(100):
            place = random_places.randrange(10_000)
            part.seek(place)
            assert part.read(50) == CONTENT[place : place + 50]
            assert part.tell() == min(place + 50, 10_000)
        part.seek(20_000)
        assert part.read(1) == b""


def test_an_archive_behind_something_else(path: Path) -> None:
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    with zipfile.ZipFile(path) as archive, stored(archive, "second") as part:
        assert part.read() == CONTENT


def test_what_can_not_be_read_in_place_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        with pytest.raises(zipfile.BadZipFile, match="packed"), stored(archive, "packed"):
            pass
        with pytest.raises(KeyError), stored(archive, "none"):
            pass
    in_memory = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with in_memory as archive, pytest.raises(zipfile.BadZipFile, match="no file"), stored(archive, "first"):
        pass


def test_a_member_that_the_directory_calls_otherwise_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"first", b"other", 1))
    with zipfile.ZipFile(path) as archive, pytest.raises(zipfile.BadZipFile), stored(archive, "first"):
        pass
