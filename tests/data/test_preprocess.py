import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.config import PreprocessSettings, SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow, read_manifest
from imgcls_ray.data.pixels import decode
from imgcls_ray.data.preprocess import Preprocessed, open_preprocessed, set_folder
from imgcls_ray.data.shards import FORMATS, read_shard
from imgcls_ray.data.sources import SPLITS, list_source
from imgcls_ray.errors import DataError, ImgclsError, StorageError
from tests.conftest import ingested, picture, write_tree

pytestmark = pytest.mark.usefixtures("ray_local")
# Made-up pictures of one class look alike, more than any real ones; likeness has tests of its own.
SETTINGS = PreprocessSettings(image_size=(12, 16), near_duplicates=False)


def contents(done: Preprocessed) -> dict[str, tuple[str, int]]:
    """key -> (split, label) of everything in the shards."""
    found = {}
    for entry in done.index.shards:
        shard = read_shard(done.path, entry, done.index.format)
        for label, key in zip(shard.labels, shard.keys, strict=True):
            assert key not in found
            found[key] = (entry.split, int(label))
    return found


def splits(done: Preprocessed) -> dict[str, str | None]:
    return {row.path: row.split for row in read_manifest(done.path) if row.status == "used"}


def rows_of(done: Preprocessed) -> dict[str, ManifestRow]:
    return {row.path: row for row in read_manifest(done.path)}


def only_the_set(folder: Path, done: Preprocessed) -> bool:
    names = {path.name for path in folder.iterdir()}
    return names == {"index.json", "manifest.parquet", *(entry.file for entry in done.index.shards)}


@pytest.mark.parametrize("format", FORMATS)
def test_shards_index_and_manifest_agree_with_the_files(pictures: Path, tmp_path: Path, format: str) -> None:
    done = ingested(pictures, tmp_path, SETTINGS.model_copy(update={"format": format}))
    assert (done.counts.found, done.counts.used, done.decoded, done.reused) == (60, 60, 60, False)
    assert done.index.labels == Labels(("class0", "class1", "class2"))
    assert sum(map(sum, done.index.class_counts.values())) == 60
    assert min(map(min, done.index.class_counts.values())) >= 1
    found = contents(done)
    for row in read_manifest(done.path):
        assert found.pop(row.path) == (row.split, done.index.labels.index(row.label))
        entry = next(entry for entry in done.index.shards if entry.file == row.shard)
        shard = read_shard(done.path, entry, format)
        assert shard.keys[row.row] == row.path
        assert np.array_equal(shard.images[row.row], decode((pictures / row.path).read_bytes(), done.index.pixels))
        assert (row.width, row.height) == (32, 24)
    assert not found
    assert only_the_set(tmp_path, done)


def test_jpeg_shards_are_marked_and_close_to_the_pixels(pictures: Path, tmp_path: Path) -> None:
    done = ingested(pictures, tmp_path, SETTINGS.model_copy(update={"encoding": "jpeg"}))
    assert json.loads((tmp_path / "index.json").read_text())["encoding"] == "jpeg"
    entry = done.index.of("train")[0]
    shard = read_shard(done.path, entry, "hdf5")
    exact = decode((pictures / shard.keys[0]).read_bytes(), done.index.pixels)
    assert 0 < np.abs(shard.images[0].astype(int) - exact).mean() < 6


def test_a_second_run_decodes_nothing(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ingested(pictures, tmp_path, SETTINGS)
    monkeypatch.setattr("imgcls_ray.data.scan.map_blocks", lambda *a, **k: pytest.fail("worked again"))
    again = ingested(pictures, tmp_path, SETTINGS)
    assert again.reused
    assert (again.path, again.index, again.counts) == (first.path, first.index, first.counts)
    assert (open_preprocessed(tmp_path).index, open_preprocessed(tmp_path).counts) == (first.index, first.counts)


def test_equal_input_gives_equal_files_wherever_it_lies(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "copy", copy_function=shutil.copy)
    one = ingested(pictures, tmp_path / "one", SETTINGS)
    two = ingested(tmp_path / "copy", tmp_path / "two", SETTINGS)
    assert one.index.shards == two.index.shards
    assert one.index.fingerprint == two.index.fingerprint


def test_a_damaged_shard_is_made_again_and_only_that(pictures: Path, tmp_path: Path) -> None:
    first = ingested(pictures, tmp_path, SETTINGS)
    held = contents(first)
    broken = first.index.of("val")[0]
    (tmp_path / broken.file).write_bytes((tmp_path / broken.file).read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match="damaged"):
        open_preprocessed(tmp_path)
    again = ingested(pictures, tmp_path, SETTINGS)
    assert again.decoded == broken.rows
    assert open_preprocessed(tmp_path).index.fingerprint == first.index.fingerprint
    assert contents(again) == held
    assert only_the_set(tmp_path, again)


@pytest.mark.parametrize("file", ["index.json", "manifest.parquet"])
def test_a_set_without_its_index_is_made_again_just_as_it_was(pictures: Path, tmp_path: Path, file: str) -> None:
    first = ingested(pictures, tmp_path, SETTINGS)
    (tmp_path / file).write_bytes(b"{")
    assert ingested(pictures, tmp_path, SETTINGS).index.shards == first.index.shards


def test_new_pictures_go_into_new_shards_and_nothing_else_moves(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=3, each=30)
    first = ingested(root, tmp_path / "set", SETTINGS)
    placed = splits(first)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "set").iterdir()}
    for number in range(100, 105):
        Image.fromarray(picture(1, number)).save(root / "class1" / f"{number}.png")
    second = ingested(root, tmp_path / "set", SETTINGS)
    assert second.decoded == 5
    assert second.counts.used == 95
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "set").iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"index.json", "manifest.parquet"}
    new = [entry for entry in second.index.shards if entry.file not in before]
    assert sum(entry.rows for entry in new) == 5
    assert placed.items() <= splits(second).items()
    assert len(contents(second)) == 95
    assert second.index.fingerprint != first.index.fingerprint


def test_removed_and_changed_pictures_leave_their_shards(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=3, each=30)
    first = ingested(root, tmp_path / "set", SETTINGS)
    held, placed = contents(first), splits(first)
    gone, changed = sorted(held)[:40:20]
    (root / gone).unlink()
    Image.fromarray(picture(2, 999)).save(root / changed)
    second = ingested(root, tmp_path / "set", SETTINGS)
    assert set(contents(second)) == set(held) - {gone}
    kept = {key: split for key, split in placed.items() if key not in (gone, changed)}
    assert kept.items() <= splits(second).items()
    assert second.decoded <= 1 + sum(entry.rows for entry in first.index.shards if entry not in second.index.shards)
    assert only_the_set(tmp_path / "set", second)
    row = rows_of(second)[changed]
    entry = next(entry for entry in second.index.shards if entry.file == row.shard)
    now = read_shard(second.path, entry, "hdf5").images[row.row]
    assert np.array_equal(now, decode((root / changed).read_bytes(), second.index.pixels))


def test_a_renamed_picture_needs_no_new_shard(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=10)
    first = ingested(root, tmp_path / "set", SETTINGS)
    split = rows_of(first)["class0/3.png"].split
    (root / "class0" / "3.png").rename(root / "class0" / "three.png")
    second = ingested(root, tmp_path / "set", SETTINGS)
    assert second.index.shards == first.index.shards
    assert rows_of(second)["class0/three.png"].split == split


def test_a_copy_that_was_left_out_is_used_when_the_kept_one_goes(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=10)
    shutil.copy(root / "class0" / "3.png", root / "class0" / "9-copy.png")
    first = ingested(root, tmp_path / "set", SETTINGS)
    assert first.counts.duplicates == 1
    (root / "class0" / "3.png").unlink()
    second = ingested(root, tmp_path / "set", SETTINGS)
    assert (second.counts.used, second.counts.duplicates) == (20, 0)


def test_a_new_class_keeps_the_splits_of_the_others(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=20)
    placed = splits(ingested(root, tmp_path / "set", SETTINGS))
    write_tree(tmp_path / "more", classes=1, each=20, size=(20, 20))
    (tmp_path / "more" / "class0").rename(root / "a-new-one")
    second = ingested(root, tmp_path / "set", SETTINGS)
    assert second.index.labels.names[0] == "a-new-one"
    assert placed.items() <= splits(second).items()
    assert all(label == second.index.labels.index(key.split("/")[0]) for key, (_, label) in contents(second).items())
    assert only_the_set(tmp_path / "set", second)


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
    done = ingested(root, tmp_path / "out", settings, progress=lambda *numbers: told.append(numbers))
    rows = rows_of(done)
    assert {path: row.reason for path, row in rows.items() if row.status == "rejected"} == {
        "class0/0.jpg": "truncated or damaged",
        "class0/1.jpg": "same picture under two labels (class2/other.jpg)",
        "class0/empty.jpg": "empty file",
        "class1/gone.jpg": "can't be read (no such file or directory)",
        "class1/notes.txt": "not a picture",
        "class2/big.png": "too many pixels (200x200; max_pixels is 30000)",
        "class2/other.jpg": "same picture under two labels (class0/1.jpg)",
    }
    assert rows["class1/again.jpg"].status == "duplicate"
    assert (rows["class0/0.jpg"].split, rows["class0/0.jpg"].shard) == (None, None)
    counts = done.counts
    assert (counts.found, counts.used, counts.rejected, counts.duplicates) == (42, 34, 7, 1)
    assert done.causes["same picture under two labels"] == 2
    assert sum(done.causes.values()) == 7
    assert set(contents(done)) == {path for path, row in rows.items() if row.status == "used"}
    assert Counter(row.split for row in rows.values() if row.status == "used") == {
        split: sum(done.index.class_counts[split]) for split in SPLITS
    }
    assert told == sorted(told)
    assert told[-1] == (42, 42)


def test_too_many_bad_files_end_the_job_and_leave_nothing(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=10)
    for number in range(4):
        (root / "class0" / f"{number}.txt").write_text(f"no picture {number}")
    settings = SETTINGS.model_copy(update={"max_bad_fraction": 0.1})
    with pytest.raises(DataError, match=r"At most 10% .* 4 of 24 in .* \(4 not a picture\)"):
        ingested(root, tmp_path / "deep" / "set", settings)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_split_folders_keep_their_pictures(tmp_path: Path) -> None:
    write_tree(tmp_path / "data" / "Training", classes=3, each=10)
    write_tree(tmp_path / "data" / "Test", classes=2, each=3, size=(30, 30))
    done = ingested(tmp_path / "data", tmp_path / "out", SETTINGS)
    assert done.index.class_counts["test"] == [3, 3, 0]
    assert sum(done.index.class_counts["train"]) + sum(done.index.class_counts["val"]) == 30
    for key, (split, _) in contents(done).items():
        assert key.startswith("Test/") == (split == "test")


def test_grouped_pictures_stay_in_one_split(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=40)
    settings = SETTINGS.model_copy(update={"source": SourceSettings(group_by=r"/(\d)")})
    done = ingested(root, tmp_path / "out", settings)
    of_group: dict[str | None, set[str | None]] = {}
    for row in read_manifest(done.path):
        of_group.setdefault(row.group, set()).add(row.split)
    assert len(of_group) == 10
    assert all(len(found) == 1 for found in of_group.values())


def test_grayscale_shards_have_one_channel(pictures: Path, tmp_path: Path) -> None:
    done = ingested(pictures, tmp_path, SETTINGS.model_copy(update={"colorspace": "grayscale"}))
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
        ingested(root, tmp_path / "deep" / "out", SETTINGS.model_copy(update={"max_bad_fraction": 1.0}))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_bad_data_leaves_an_earlier_set_as_it_was(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=10)
    first = ingested(root, tmp_path / "set", SETTINGS)
    _one_class_broken(root)
    with pytest.raises(DataError, match="of 'class1' in"):
        ingested(root, tmp_path / "set", SETTINGS)
    assert open_preprocessed(tmp_path / "set").index == first.index


def test_shards_inside_the_data_are_refused(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=5)
    with pytest.raises(StorageError, match="can't lie inside the data folder"):
        ingested(root, root / "imgcls-runs", SETTINGS)
    assert sorted(path.name for path in root.iterdir()) == ["class0", "class1"]


def test_a_folder_in_use_for_something_else_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"holds other files already, such as 'thesis\.txt'"):
        ingested(pictures, tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_other_settings_need_another_folder(pictures: Path, tmp_path: Path) -> None:
    first = ingested(pictures, tmp_path, SETTINGS)
    with pytest.raises(StorageError, match="made with others: choose another folder"):
        ingested(pictures, tmp_path, SETTINGS.model_copy(update={"seed": 1}))
    assert open_preprocessed(tmp_path).index == first.index


def test_the_main_jobs_folder_follows_place_and_settings(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=3)

    def now(**changes: object) -> Path:
        return set_folder(tmp_path, list_source(str(root)), SETTINGS.model_copy(update=changes))

    seen = [now(), now(seed=1), now(format="tfrecord"), now(val_fraction=0.3)]
    assert len(set(seen)) == len(seen)
    Image.fromarray(picture(1, 9)).save(root / "class0" / "9.png")
    assert now() == seen[0], "more pictures are added to the same set"
    assert now(max_bad_fraction=0.2) == seen[0]


def test_a_file_in_the_way_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="must be a folder"):
        ingested(pictures, tmp_path / "out", SETTINGS)
    with pytest.raises(StorageError, match="can't be written"):
        ingested(pictures, tmp_path / "out" / "shards", SETTINGS)


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
        ingested(pictures, tmp_path / "set", SETTINGS)
    assert isinstance(error.value, ImgclsError)
    assert not (tmp_path / "set" / ".work").exists()


def test_an_interrupted_run_goes_on_where_it_was(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ingested(pictures, tmp_path / "expected", SETTINGS)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imgcls_ray.data.preprocess.write_manifest", die)
    with pytest.raises(KeyboardInterrupt):
        ingested(pictures, tmp_path / "set", SETTINGS)
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"a folder with an index\.json"):
        open_preprocessed(tmp_path / "set")
    (tmp_path / "set" / ".train-00000.h5.0123abcd.tmp").write_bytes(b"half")  # what a kill would leave
    monkeypatch.setattr("imgcls_ray.data.scan.map_blocks", lambda *a, **k: pytest.fail("scanned again"))
    monkeypatch.setattr("imgcls_ray.data.preprocess.map_blocks", lambda *a, **k: pytest.fail("written again"))
    done = ingested(pictures, tmp_path / "set", SETTINGS)
    assert done.index.shards == expected.index.shards
    assert only_the_set(tmp_path / "set", done)


def test_a_cut_block_or_shard_of_an_interrupted_run_is_made_again(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    expected = ingested(pictures, tmp_path / "expected", SETTINGS)
    monkeypatch.setattr("imgcls_ray.data.preprocess.write_manifest", die)
    with pytest.raises(KeyboardInterrupt):
        ingested(pictures, tmp_path / "set", SETTINGS)
    monkeypatch.undo()
    for path in [*(tmp_path / "set" / ".work").glob("*.u8"), *(tmp_path / "set").glob("*.h5")]:
        path.write_bytes(path.read_bytes()[:-7])
    assert ingested(pictures, tmp_path / "set", SETTINGS).index.shards == expected.index.shards


def test_the_index_is_plain_json(pictures: Path, tmp_path: Path) -> None:
    ingested(pictures, tmp_path, SETTINGS)
    document = json.loads((tmp_path / "index.json").read_text())
    assert document["labels"]["names"] == ["class0", "class1", "class2"]
    assert document["pixels"]["height"] == 12
    assert {entry["split"] for entry in document["shards"]} == set(SPLITS)


def test_real_gray_digits_keep_their_test_folder(test_data: Path, tmp_path: Path) -> None:
    settings = PreprocessSettings(image_size=28, colorspace="grayscale", format="tfrecord")
    done = ingested(test_data / "mnist_gray", tmp_path, settings)
    assert done.index.rows("test") == 1000
    assert done.counts.used > 5950
