import json
from pathlib import Path

import pytest

from imgcls_ray.data.index import INDEX, Index, ShardEntry, digest, read_index, verify, write_index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import Counts, ManifestRow, count, read_manifest, write_manifest
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.errors import DataError

ROWS = [
    ManifestRow("a/1.png", "a", "train", "0" * 64, 32, 24, 99, "used", None, "train-00000.h5", 0),
    ManifestRow("a/2.png", "a", None, None, None, None, 0, "rejected", "empty file"),
    ManifestRow("b/1.png", "b", None, "0" * 64, 32, 24, 99, "duplicate", "same picture as a/1.png"),
]


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Index]:
    (tmp_path / "train-00000.h5").write_bytes(b"shard")
    entry = ShardEntry("train-00000.h5", "train", 1, 5, digest(tmp_path / "train-00000.h5"))
    index = Index(
        Labels(("a", "b")),
        PixelOps(24, 32, "color"),
        "hdf5",
        "f" * 64,
        "pets",
        (entry,),
        {"train": [1, 0], "val": [0, 0], "test": [0, 0]},
        write_manifest(tmp_path, ROWS),
    )
    write_index(tmp_path, index)
    return tmp_path, index


def test_index_and_manifest_survive_the_disk(written: tuple[Path, Index]) -> None:
    folder, index = written
    assert read_index(folder) == index
    verify(folder, index)
    assert (index.rows("train"), index.rows("test"), len(index.of("train"))) == (1, 0, 1)
    assert read_manifest(folder) == ROWS
    assert count(ROWS) == Counts(found=3, used=1, rejected=1, duplicates=1)
    assert sorted(path.name for path in folder.iterdir()) == [INDEX, "manifest.parquet", "train-00000.h5"]


@pytest.mark.parametrize("file", ["train-00000.h5", "manifest.parquet"])
@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_a_damaged_file_is_found(written: tuple[Path, Index], file: str, harm: str) -> None:
    folder, index = written
    data = bytearray((folder / file).read_bytes())
    if harm == "gone":
        (folder / file).unlink()
    else:
        data[-1] ^= 1
        (folder / file).write_bytes(data if harm == "changed" else data[:-1])
    with pytest.raises(DataError, match=file):
        verify(folder, index)


@pytest.mark.parametrize(
    "change", [{"format_version": 0}, {"labels": None}, {"shards": [{"file": "x"}]}, {"pixels": {}}]
)
def test_an_index_that_can_not_be_understood_is_refused(written: tuple[Path, Index], change: dict[str, object]) -> None:
    folder, index = written
    (folder / INDEX).write_text(json.dumps({**index.to_json(), **change}))
    with pytest.raises(DataError, match="preprocess again"):
        read_index(folder)


def test_a_folder_without_index_or_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"index\.json"):
        read_index(tmp_path)
    with pytest.raises(DataError, match=r"manifest\.parquet"):
        read_manifest(tmp_path)
