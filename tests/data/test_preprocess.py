import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import read_manifest
from imgcls_ray.data.pixels import decode
from imgcls_ray.data.preprocess import Preprocessed, fingerprint_of, open_preprocessed, preprocess
from imgcls_ray.data.shards import FORMATS, read_shard
from imgcls_ray.data.sources import SPLITS, list_source
from imgcls_ray.errors import DataError, ImgclsError, StorageError
from tests.conftest import write_tree

pytestmark = pytest.mark.usefixtures("ray_local")
SETTINGS = PreprocessSettings(image_size=(12, 16))


def contents(done: Preprocessed) -> dict[str, tuple[str, int]]:
    """key -> (split, label) of everything in the shards, with the pixels compared to a fresh decode."""
    found = {}
    for entry in done.index.shards:
        shard = read_shard(done.path, entry, done.index.format)
        for label, key in zip(shard.labels, shard.keys, strict=True):
            assert key not in found
            found[key] = (entry.split, int(label))
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_shards_index_and_manifest_agree_with_the_files(pictures: Path, tmp_path: Path, format: str) -> None:
    done = preprocess(str(pictures), tmp_path, SETTINGS.model_copy(update={"format": format}))
    assert (done.counts.found, done.counts.used, done.reused) == (60, 60, False)
    assert done.index.class_counts == {"train": [14] * 3, "val": [2] * 3, "test": [4] * 3}
    assert done.index.labels == Labels(("class0", "class1", "class2"))
    assert done.path == tmp_path / f"{pictures.name}-{done.index.fingerprint[:12]}"
    found = contents(done)
    for row in read_manifest(done.path):
        assert found.pop(row.path) == (row.split, done.index.labels.index(row.label))
        entry = next(entry for entry in done.index.shards if entry.file == row.shard)
        shard = read_shard(done.path, entry, format)
        assert shard.keys[row.row] == row.path
        assert np.array_equal(shard.images[row.row], decode((pictures / row.path).read_bytes(), done.index.pixels))
        assert (row.width, row.height) == (32, 24)
    assert not found
    assert {path.name for path in tmp_path.iterdir()} == {done.path.name}


def test_a_second_run_decodes_nothing(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = preprocess(str(pictures), tmp_path, SETTINGS)
    monkeypatch.setattr("imgcls_ray.data.preprocess.map_blocks", lambda *a, **k: pytest.fail("worked again"))
    again = preprocess(str(pictures), tmp_path, SETTINGS)
    assert again.reused
    assert (again.path, again.index, again.counts) == (first.path, first.index, first.counts)
    assert open_preprocessed(first.path) == again


def test_equal_input_gives_equal_shards_wherever_it_lies(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "copy", copy_function=shutil.copy)
    one = preprocess(str(pictures), tmp_path / "one", SETTINGS)
    two = preprocess(str(tmp_path / "copy"), tmp_path / "two", SETTINGS)
    assert one.index.shards == two.index.shards


def test_a_damaged_set_is_made_again(pictures: Path, tmp_path: Path) -> None:
    first = preprocess(str(pictures), tmp_path, SETTINGS)
    shard = first.path / first.index.shards[0].file
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match="damaged"):
        open_preprocessed(first.path)
    again = preprocess(str(pictures), tmp_path, SETTINGS)
    assert not again.reused
    assert again.index == first.index
    assert open_preprocessed(first.path).index == first.index
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_the_fingerprint_follows_files_and_settings(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=3)

    def now(**changes: object) -> str:
        return fingerprint_of(list_source(str(root)), SETTINGS.model_copy(update=changes))

    seen = [now(), now(seed=1), now(format="tfrecord"), now(val_fraction=0.3)]
    os.utime(root / "class0" / "0.png", (1, 1))
    seen.append(now())
    (root / "class0" / "0.png").rename(root / "class1" / "9.png")
    seen.append(now())
    assert len(set(seen)) == len(seen)
    shutil.move(root, tmp_path / "elsewhere")
    assert fingerprint_of(list_source(str(tmp_path / "elsewhere")), SETTINGS) == seen[-1]


def test_bad_files_are_skipped_and_counted_with_a_reason(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=3, each=12, suffix=".jpg")
    whole = (root / "class0" / "0.jpg").read_bytes()
    (root / "class0" / "0.jpg").write_bytes(whole[:-50])
    (root / "class0" / "empty.jpg").write_bytes(b"")
    (root / "class1" / "notes.txt").write_text("no picture")
    (root / "class1" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (root / "class1" / "again.jpg").write_bytes((root / "class1" / "0.jpg").read_bytes())
    (root / "class2" / "other.jpg").write_bytes((root / "class0" / "1.jpg").read_bytes())
    Image.new("RGB", (200, 200)).save(root / "class2" / "big.png")
    told: list[tuple[int, int]] = []
    settings = SETTINGS.model_copy(update={"max_pixels": 30_000})
    done = preprocess(str(root), tmp_path / "out", settings, lambda *numbers: told.append(numbers))
    rows = {row.path: row for row in read_manifest(done.path)}
    assert {path: row.reason for path, row in rows.items() if row.status == "rejected"} == {
        "class0/0.jpg": "truncated or damaged",
        "class0/1.jpg": "same picture under two labels",
        "class0/empty.jpg": "empty file",
        "class1/gone.jpg": "can't be read: no such file or directory",
        "class1/notes.txt": "not a picture",
        "class2/big.png": "too many pixels (200x200; max_pixels is 30000)",
        "class2/other.jpg": "same picture under two labels",
    }
    assert rows["class1/again.jpg"].status == "duplicate"
    assert rows["class0/0.jpg"].split is not None, "it was planned before it turned out to be cut"
    assert rows["class0/0.jpg"].shard is None
    counts = done.counts
    assert (counts.found, counts.used, counts.rejected, counts.duplicates) == (42, 34, 7, 1)
    assert set(contents(done)) == {path for path, row in rows.items() if row.status == "used"}
    assert sum(entry.rows for entry in done.index.shards) == 34
    assert Counter(row.split for row in rows.values() if row.status == "used") == {
        split: sum(done.index.class_counts[split]) for split in SPLITS
    }
    assert told == sorted(told)
    assert told[-1] == (42, 42)


def test_split_folders_keep_their_pictures(tmp_path: Path) -> None:
    write_tree(tmp_path / "data" / "Training", classes=3, each=10)
    write_tree(tmp_path / "data" / "Test", classes=2, each=3, size=(30, 30))
    done = preprocess(str(tmp_path / "data"), tmp_path / "out", SETTINGS)
    assert done.index.class_counts == {"train": [9] * 3, "val": [1] * 3, "test": [3, 3, 0]}
    for key, (split, _) in contents(done).items():
        assert key.startswith("Test/") == (split == "test")


def test_grayscale_shards_have_one_channel(pictures: Path, tmp_path: Path) -> None:
    done = preprocess(str(pictures), tmp_path, SETTINGS.model_copy(update={"colorspace": "grayscale"}))
    assert read_shard(done.path, done.index.of("val")[0], "hdf5").images.shape[1:] == (12, 16, 1)


def _nothing_decodable(root: Path) -> None:
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.write_bytes(b"no picture %d" % number)


def _one_class_broken(root: Path) -> None:
    for path in (root / "class1").iterdir():
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 200])  # the header stays good: only decoding finds it out


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [(_nothing_decodable, "No file in .* is a usable picture.*not a picture"), (_one_class_broken, "of 'class1' in")],
)
def test_unusable_data_leaves_nothing_behind(tmp_path: Path, harm: object, sentence: str) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=5)
    harm(root)  # type: ignore[operator]
    with pytest.raises(DataError, match=sentence):
        preprocess(str(root), tmp_path / "deep" / "out", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_storage_inside_the_data_is_refused(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=5)
    with pytest.raises(StorageError, match="can't lie inside the data folder"):
        preprocess(str(root), root / "imgcls-runs", SETTINGS)
    assert sorted(path.name for path in root.iterdir()) == ["class0", "class1"]


def test_storage_that_is_a_file_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        preprocess(str(pictures), tmp_path / "out" / "shards", SETTINGS)


@pytest.mark.parametrize(
    ("errno", "sentence"), [(28, "is full; free some space"), (13, "can't be written .Permission")]
)
def test_a_storage_that_refuses_is_told_in_a_sentence(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errno: int, sentence: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno, os.strerror(errno))

    monkeypatch.setattr("imgcls_ray.data.preprocess.write_index", refuse)
    with pytest.raises(StorageError, match=sentence) as error:
        preprocess(str(pictures), tmp_path, SETTINGS)
    assert isinstance(error.value, ImgclsError)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_task_tells_a_full_disk_to_the_driver(pictures: Path, tmp_path: Path) -> None:
    folder = Path("/dev/null/no-such-folder")  # a folder that no task can write to
    from imgcls_ray.data import plan
    from imgcls_ray.data import preprocess as module

    source = list_source(str(pictures))
    tell = module._Progress(None, len(source.items))
    rows = plan.with_splits(module._inspected(source, SETTINGS, tell), source, SETTINGS)
    shards = plan.plan_shards(rows, source.labels, SETTINGS)
    with pytest.raises(StorageError, match="can't be written"):
        module._written(rows, shards, source, source.labels, SETTINGS, folder, tell)


def test_a_killed_run_leaves_no_folder_that_looks_whole(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        assert [path.name[0] for path in tmp_path.iterdir()] == ["."]
        raise Killed

    monkeypatch.setattr("imgcls_ray.data.preprocess.write_manifest", die)
    monkeypatch.setattr("imgcls_ray.data.workplace.shutil.rmtree", lambda *a, **k: None)  # as if there were no time
    with pytest.raises(Killed):
        preprocess(str(pictures), tmp_path, SETTINGS)
    monkeypatch.undo()
    assert not preprocess(str(pictures), tmp_path, SETTINGS).reused


def test_the_index_is_plain_json(pictures: Path, tmp_path: Path) -> None:
    done = preprocess(str(pictures), tmp_path, SETTINGS)
    document = json.loads((done.path / "index.json").read_text())
    assert document["labels"]["names"] == ["class0", "class1", "class2"]
    assert document["pixels"]["height"] == 12
    assert {entry["split"] for entry in document["shards"]} == set(SPLITS)


@pytest.mark.parametrize(
    ("name", "used", "rejected", "duplicates"),
    [("flowers5", 2996, 2, 2), ("trashnet", 1471, 6, 0), ("hymenoptera", 398, 0, 0)],
)
def test_real_photographs(
    test_data: Path, tmp_path: Path, name: str, used: int, rejected: int, duplicates: int
) -> None:
    done = preprocess(str(test_data / name), tmp_path, PreprocessSettings(image_size=32))
    assert (done.counts.used, done.counts.rejected, done.counts.duplicates) == (used, rejected, duplicates)


def test_real_gray_digits_keep_their_test_folder(test_data: Path, tmp_path: Path) -> None:
    settings = PreprocessSettings(image_size=28, colorspace="grayscale", format="tfrecord")
    done = preprocess(str(test_data / "mnist_gray"), tmp_path, settings)
    assert [done.index.rows(split) for split in SPLITS] == [4500, 500, 1000]
