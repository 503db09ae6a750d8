import os
from pathlib import Path
from typing import Any

import pytest

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources import list_source
from imgcls_ray.errors import DataError, SettingsError


def tree(root: Path, *paths: str) -> str:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return str(root)


def test_class_folders_are_listed_to_any_depth_and_sorted(tmp_path: Path) -> None:
    root = tree(tmp_path / "pets", "dog/2.jpg", "dog/deep/er/1.jpg", "cat/1.jpg", "cat/notes.txt")
    source = list_source(root)
    assert source.name == "pets"
    assert source.root == root
    assert [(item.path, item.label, item.split) for item in source.items] == [
        ("cat/1.jpg", "cat", None),
        ("cat/notes.txt", "cat", None),
        ("dog/2.jpg", "dog", None),
        ("dog/deep/er/1.jpg", "dog", None),
    ]
    assert source.items[0].bytes == 1
    assert source.labels == Labels(("cat", "dog"))


def test_hidden_files_leftovers_and_loose_files_do_not_count(tmp_path: Path) -> None:
    root = tree(
        tmp_path, "a/1", "a/2", "a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", "a/.hidden/3", "b/1", "b/2", "loose.jpg"
    )
    tree(tmp_path, ".git/config", "__MACOSX/a/1")
    assert [item.path for item in list_source(root).items] == ["a/1", "a/2", "b/1", "b/2"]


@pytest.mark.parametrize(
    ("train", "test", "val"),
    [
        ("Training", "Test", None),
        ("Training", "Testing", None),
        ("train", "test", "val"),
        ("training_set", "test_set", "validation_set"),
        ("TRAIN", "Test", "Validation"),
        ("train", "TEST", "valid"),
    ],
)
def test_split_folders_are_recognised_in_any_case(tmp_path: Path, train: str, test: str, val: str | None) -> None:
    root = tree(tmp_path, f"{train}/a/1", f"{train}/a/2", f"{train}/b/1", f"{train}/b/2", f"{test}/a/3", "papers/x.pdf")
    if val:
        tree(tmp_path, f"{val}/b/9")
    source = list_source(root)
    found = {(item.split, item.label, item.path) for item in source.items}
    assert ("test", "a", f"{test}/a/3") in found
    assert ("train", "b", f"{train}/b/2") in found
    assert (("val", "b", f"{val}/b/9") in found) == bool(val)
    assert source.labels.names == ("a", "b")


def test_a_class_called_train_among_others_is_a_class(tmp_path: Path) -> None:
    root = tree(tmp_path, "bus/1", "bus/2", "train/1", "train/2")
    assert list_source(root).labels.names == ("bus", "train")


def test_classes_may_hold_equal_folders_or_have_a_split_in_their_names(tmp_path: Path) -> None:
    root = tree(tmp_path / "one", "benign/40X/1", "benign/40X/2", "malignant/40X/1", "malignant/40X/2")
    assert list_source(root).labels.names == ("benign", "malignant")
    root = tree(tmp_path / "two", "bus/1", "bus/2", "train/1", "train/2", "test bench/1", "test bench/2")
    assert list_source(root).labels.names == ("bus", "test bench", "train")
    root = tree(tmp_path / "three", "test/1", "test/2", "train/1", "train/2")
    (tmp_path / "list.txt").write_text("train\ntest\n")
    assert list_source(root, SourceSettings(labels=str(tmp_path / "list.txt"))).labels.names == ("train", "test")


@pytest.mark.parametrize(
    "paths",
    [
        ("train_data/a/1", "train_data/b/1", "test_data/a/1", "test_data/b/1"),
        ("seg_train/seg_train/a/1", "seg_train/seg_train/b/1", "seg_test/seg_test/a/1", "seg_test/seg_test/b/1"),
        ("Train/a/1", "Train/a/2", "my test/a/1", "my test/a/2", "papers/x", "papers/y"),
        ("train/cat.1", "train/dog.1", "test/1", "test/2"),
        ("train2017/1", "train2017/2", "val2017/1", "val2017/2"),
    ],
)
def test_folders_that_look_like_splits_are_no_classes(tmp_path: Path, paths: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"Folders of splits are called train, val and test, .* holds .*: rename them"):
        list_source(tree(tmp_path, *paths))


def test_a_class_missing_from_the_test_folder_is_fine(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/a/1", "train/a/2", "train/b/1", "train/b/2", "test/a/3")
    assert list_source(root).labels.names == ("a", "b")


def test_a_class_only_in_the_test_folder_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/a/1", "train/a/2", "train/b/1", "train/b/2", "Test/c/3")
    with pytest.raises(DataError, match="'c' stands only in Test"):
        list_source(root)


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/a/1", "Training/a/1", "test/a/1")
    with pytest.raises(DataError, match="Training and train"):
        list_source(root)


def test_loops_of_links_end(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/1", "b/2")
    (tmp_path / "a" / "up").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "c").symlink_to(tmp_path / "b", target_is_directory=True)
    assert [item.path for item in list_source(root).items] == ["a/1", "a/2", "b/1", "b/2", "c/1", "c/2"]


def test_a_link_to_nowhere_counts_as_found(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/1", "b/2")
    (tmp_path / "a" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert "a/gone.jpg" in [item.path for item in list_source(root).items]


def test_a_link_that_can_not_be_followed_is_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/1", "b/2", "loose.jpg")
    for folder in (tmp_path, tmp_path / "a"):
        (folder / "itself").symlink_to(folder / "itself")
        (folder / "through").symlink_to(tmp_path / "loose.jpg" / "x")
    source = list_source(root)
    assert source.labels.names == ("a", "b")
    assert [(item.path, item.bytes) for item in source.items if item.bytes == 0] == [("a/itself", 0), ("a/through", 0)]
    for path, words in (("a/itself", "symbolic links"), ("a/through", "Not a directory")):
        with pytest.raises(OSError, match=words):
            source.reader.read(path)


def test_a_folder_whose_entries_are_closed_to_us_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/deep/1", "b/2")
    real, deep = os.stat, str(tmp_path / "b/deep")

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if str(path) == deep:
            raise PermissionError(13, "Permission denied", deep)
        return real(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(DataError, match=r"/b/deep can't be listed \(Permission denied\)"):
        list_source(root)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, kind: str) -> None:
    root = tree(tmp_path / "set", "a/1", "a/2", "b/1", "b/2")
    os.mkfifo(tmp_path / "pipe")
    Path(root, "a/x.jpg").symlink_to(tmp_path / "pipe" if kind == "pipe" else "/dev/zero")
    source = list_source(root)
    assert "a/x.jpg" in [item.path for item in source.items]
    with pytest.raises(OSError, match="not a regular file"):
        source.reader.read("a/x.jpg")
    with pytest.raises(IsADirectoryError):
        source.reader.read("a")


def test_names_that_are_not_utf8_are_listed_readably(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/1", "b/2")
    Path(root, "a", os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    paths = [item.path for item in list_source(root).items]
    assert "a/\\xff.jpg" in paths
    assert all(path.encode() for path in paths)


def test_odd_folder_names_become_plain_set_names(tmp_path: Path) -> None:
    assert list_source(tree(tmp_path / "my flöwers (2)", "a/1", "a/2", "b/1", "b/2")).name == "my-fl-wers--2"


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        ((), "holds no folders"),
        (("1.jpg", "2.jpg"), "holds no folders"),
        (("a/.hidden",), "are empty"),
        (("a/1", "a/2"), "At least 2 classes .* holds one, 'a'"),
        (("a/b/1", "a/c/2"), "perhaps .*/a is the data folder"),
        (("train/a/1", "train/a/2", "test/a/3"), "At least 2 classes .* holds one, 'a'"),
        (("train/a/1", "train/a/2", "train/b/.hidden", "test/a/3"), "at least 2 pictures; 'b' in .* has 0"),
        (("a/1", "b/1", "b/2"), "at least 2 pictures; 'a' in .* has 1"),
        (("a/1", "a/2", "b/.hidden"), "at least 2 pictures; 'b' in .* has 0"),
    ],
)
def test_unusable_folders_are_refused_in_a_sentence(tmp_path: Path, paths: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as error:
        list_source(tree(tmp_path, *paths))
    assert "\n" not in str(error.value)


def test_a_missing_folder_a_file_and_an_archive_without_a_place_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"x")
    (tmp_path / "file.zip").write_bytes(b"x")
    with pytest.raises(DataError, match="There is no folder"):
        list_source(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="is a file"):
        list_source(str(tmp_path / "file.bin"))
    with pytest.raises(DataError, match=r"place to be unpacked in; .*file\.zip has none"):
        list_source(str(tmp_path / "file.zip"))


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/1", "b/2")
    real = os.scandir

    def refuse(path: Path) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"/b can't be listed \(Permission denied\)"):
        list_source(root)


def test_for_a_trained_model_one_class_is_enough_but_unknown_ones_are_not(tmp_path: Path) -> None:
    labels = Labels(("cat", "dog"))
    assert len(list_source(tree(tmp_path / "one", "cat/1"), labels=labels).items) == 1
    with pytest.raises(DataError, match="received 'dogs'; did you mean 'dog'"):
        list_source(tree(tmp_path / "two", "dogs/1"), labels=labels)


def test_an_address_of_a_local_file_is_a_path(tmp_path: Path) -> None:
    root = tree(tmp_path / "my pets", "a/1", "a/2", "b/1", "b/2")
    assert list_source(f"file://{root.replace(' ', '%20')}") == list_source(root)


def test_a_label_list_orders_folders_and_leaves_others_out(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", "a/1", "a/2", "b/1", "b/2", "c/1")
    (tmp_path / "dict.txt").write_bytes(b"b\r\na\r\n")
    source = list_source(root, SourceSettings(labels=str(tmp_path / "dict.txt")))
    assert source.labels == Labels(("b", "a"))
    assert [(item.label, item.refused) for item in source.items[-2:]] == [("b", None), ("", "unknown label (c)")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\n\nb\n", "line 2 of .* is blank"),
        ("a\nb\n\n", "line 3 of .* is blank"),
        ("a\nb\na\n", "'a' stands in lines 1 and 3"),
        ("a\n", "has 1"),
        ("", "has 0"),
        ("a\0\nb", "zero bytes"),
        ("a\nb\nz\n", "'z' in .* has 0: add some or remove it from the list"),
    ],
)
def test_an_unusable_label_list_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    root = tree(tmp_path / "set", "a/1", "a/2", "b/1", "b/2")
    (tmp_path / "dict.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        list_source(root, SourceSettings(labels=str(tmp_path / "dict.txt")))


def test_a_group_is_taken_from_the_path_by_a_regular_expression(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/p1_x", "a/p2_x", "b/p1_y", "b/other")
    source = list_source(root, SourceSettings(group_by=r"/(p\d)_"))
    assert [item.group for item in source.items] == ["p1", "p2", None, "p1"]


@pytest.mark.parametrize("pattern", ["(", "p[0-9]+"])
def test_a_group_pattern_that_can_not_work_is_a_settings_error(tmp_path: Path, pattern: str) -> None:
    root = tree(tmp_path, "a/1", "a/2", "b/1", "b/2")
    with pytest.raises(SettingsError, match="group_by"):
        list_source(root, SourceSettings(group_by=pattern))
