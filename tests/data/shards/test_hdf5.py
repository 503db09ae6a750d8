"""Our HDF5 files are laid out by hand in part: HDF5 must find in them what it would have written itself."""

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest

from imgcls_ray.data.shards.hdf5 import Hdf5
from imgcls_ray.errors import DataError


def images(rows: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, 24, 32, 3), dtype=np.uint8)


def write(path: Path, rows: int = 9, **kwargs: str) -> None:
    Hdf5().write(path, images(rows), np.arange(rows) % 2, tuple(f"ä/{n}" for n in range(rows)), ("a", "ä"), **kwargs)  # type: ignore[arg-type]


def test_h5py_reads_what_we_write(tmp_path: Path) -> None:
    write(tmp_path / "x")
    with h5py.File(tmp_path / "x") as file:
        assert set(file) == {"images", "labels", "keys", "class_names"}
        assert np.array_equal(file["images"], images())
        assert (file["images"].dtype, file["images"].chunks, file["images"].compression) == (np.uint8, None, None)
        assert file["labels"][...].tolist() == [n % 2 for n in range(9)]
        assert [key.decode() for key in file["keys"]] == [f"ä/{n}" for n in range(9)]
        assert [name.decode() for name in file["class_names"]] == ["a", "ä"]
        assert (file.attrs["format_version"], file.attrs["encoding"]) == (1, b"raw")
        assert file.attrs["shape"].tolist() == [9, 24, 32, 3]


def test_h5py_reads_jpegs(tmp_path: Path) -> None:
    import cv2

    write(tmp_path / "x", encoding="jpeg")
    with h5py.File(tmp_path / "x") as file:
        data, offsets = file["jpeg"][...], file["offsets"][...]
        assert file.attrs["encoding"] == b"jpeg"
    found = [cv2.imdecode(data[start:end], cv2.IMREAD_COLOR_RGB) for start, end in itertools.pairwise(offsets)]
    assert np.array_equal(found, Hdf5().read(tmp_path / "x").images)


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
@pytest.mark.parametrize("rows", [1, 2, 9, 1000])
def test_the_file_is_as_long_as_hdf5_thinks_and_can_be_added_to(tmp_path: Path, rows: int, encoding: str) -> None:
    path = tmp_path / "x"
    write(path, rows, encoding=encoding)
    size = path.stat().st_size
    with h5py.File(path) as file:
        assert file.id.get_filesize() == size
        last = file["images" if encoding == "raw" else "jpeg"].id
        assert last.get_offset() + last.get_storage_size() == size
    with h5py.File(path, "a") as file:
        file["more"] = np.arange(1000)
    with h5py.File(path) as file:
        assert file["more"][999] == 999
    assert len(Hdf5().read(path).keys) == rows


def test_a_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(path)
    whole = path.read_bytes()
    for part in range(0, len(whole), 37):
        path.write_bytes(whole[:part])
        with pytest.raises(DataError, match="preprocess again"):
            Hdf5().read(path)


def test_shards_in_chunks_as_version_0_1_wrote_them_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x", "w") as file:
        file.attrs["format_version"] = 1
        file.create_dataset("images", data=images(), chunks=(2, 24, 32, 3))
        file["labels"] = np.zeros(9, np.int64)
        file["keys"] = np.array([b"k"] * 9)
    assert np.array_equal(Hdf5().read(tmp_path / "x").images, images())


@pytest.mark.parametrize(
    ("offsets", "reason"),
    [([0, 5], "do not fit"), ([0, 900, 300] + [900] * 7, "do not"), ([1] + [900] * 9, "do not fit")],
)
def test_wrong_offsets_are_a_data_error(tmp_path: Path, offsets: list[int], reason: str) -> None:
    write(tmp_path / "x", encoding="jpeg")
    with h5py.File(tmp_path / "x", "a") as file:
        del file["offsets"]
        offsets[-1] = len(file["jpeg"])
        file["offsets"] = np.array(offsets, np.int64)
    with pytest.raises(DataError, match=reason):
        Hdf5().read(tmp_path / "x")


def test_another_version_is_a_data_error(tmp_path: Path) -> None:
    write(tmp_path / "x")
    with h5py.File(tmp_path / "x", "a") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(DataError, match="its format version is 2, this program knows 1"):
        Hdf5().read(tmp_path / "x")
