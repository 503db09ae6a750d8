"""Kept pictures with labels become data."""

from pathlib import Path

import pytest

from imgcls_ray.data.adopting import Adopted, adopt
from imgcls_ray.errors import DataError

HEADER = "path,label,predicted,probability,decision,model,version,request_id,time"


def table(kept: Path, day: int, *labels: tuple[str, str]) -> None:
    rows = [f"pictures/{name},{label},cat,0.5,unsure,pets,1,x,2026-11-0{day}T00:00:00+00:00" for name, label in labels]
    (kept / f"predictions-2026-11-0{day}.csv").write_text("\n".join([HEADER, *rows]) + "\n")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    (folder / "pictures").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.png", "d.jpg"):
        (folder / "pictures" / name).write_bytes(name.encode())
    table(folder, 1, ("a.jpg", "cat"), ("b.jpg", ""), ("c.png", "cat"))
    table(folder, 2, ("c.png", "dog"), ("d.jpg", "dog"))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
    return tmp_path / "pets"


def files(data: Path) -> list[str]:
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def test_labelled_pictures_go_to_their_class_once(kept: Path, data: Path) -> None:
    assert adopt(kept, data) == Adopted({"cat": 1, "dog": 2}, known=0, unlabelled=1)
    assert files(data) == ["cat/a.jpg", "dog/c.png", "dog/d.jpg"]
    assert (data / "dog" / "c.png").read_bytes() == b"c.png"
    again = adopt(kept, data)
    assert again == Adopted({}, known=3, unlabelled=1)
    assert again.sentence == "0 pictures adopted, 3 there already, 1 without a label"


def test_where_there_are_splits_they_are_learned_from(kept: Path, tmp_path: Path) -> None:
    data = tmp_path / "split"
    for place in ("Training/cat", "Training/dog", "Test/cat", "Test/dog"):
        (data / place).mkdir(parents=True)
    adopt(kept, data)
    assert files(data) == ["Training/cat/a.jpg", "Training/dog/c.png", "Training/dog/d.jpg"]


def test_a_corrected_label_moves_the_picture(kept: Path, data: Path) -> None:
    adopt(kept, data)
    (data / "cat" / "d.jpg").write_bytes(b"another one of this name, not ours")
    table(kept, 3, ("a.jpg", "dog"), ("d.jpg", "dog"))
    done = adopt(kept, data)
    assert done == Adopted({}, known=2, unlabelled=1, moved=1)
    assert done.sentence == "0 pictures adopted, 1 moved to another class, 2 there already, 1 without a label"
    assert files(data) == ["cat/d.jpg", "dog/a.jpg", "dog/c.png", "dog/d.jpg"]
    assert (data / "dog" / "a.jpg").read_bytes() == b"a.jpg"
    (data / "cat" / "a.jpg").write_bytes(b"a.jpg")  # as an earlier version left it
    assert adopt(kept, data).moved == 1
    assert files(data) == ["cat/d.jpg", "dog/a.jpg", "dog/c.png", "dog/d.jpg"]
    assert adopt(kept, data) == Adopted({}, known=3, unlabelled=1)


def test_a_class_called_train_is_a_class(kept: Path, tmp_path: Path) -> None:
    for place in ("bus", "train/old"):
        (tmp_path / "vehicles" / place).mkdir(parents=True)
    table(kept, 1, ("a.jpg", "bus"), ("b.jpg", "train"))
    table(kept, 2)
    adopt(kept, tmp_path / "vehicles")
    assert files(tmp_path / "vehicles") == ["bus/a.jpg", "train/b.jpg"]


@pytest.mark.parametrize(
    ("name", "label", "sentence"),
    [
        ("a.jpg", "cta", "did you mean 'cat'"),
        ("a.jpg", "../cat", "is the name of a class folder"),
        ("gone.jpg", "cat", "is not there"),
        ("../../pets/x.jpg", "cat", "is not there"),
    ],
)
def test_one_wrong_row_and_nothing_is_copied(kept: Path, data: Path, name: str, label: str, sentence: str) -> None:
    table(kept, 3, ("b.jpg", "dog"), (name, label))
    with pytest.raises(DataError, match=sentence):
        adopt(kept, data)
    assert files(data) == []


def test_what_is_no_such_folder_is_refused(kept: Path, data: Path) -> None:
    with pytest.raises(DataError, match="has no predictions"):
        adopt(data, data)
    with pytest.raises(DataError, match="one folder per class"):
        adopt(kept, kept / "pictures" / "a.jpg")
    (kept / "predictions-2026-11-01.csv").write_text("path;label\na;b\n")
    with pytest.raises(DataError, match="parted by commas"):
        adopt(kept, data)


def test_a_row_that_nobody_filled_in_takes_no_label_back(kept: Path, data: Path) -> None:
    table(kept, 3, ("a.jpg", ""))
    assert adopt(kept, data) == Adopted({"cat": 1, "dog": 2}, known=0, unlabelled=1)
