"""`imgcls preprocess`: what it prints, and what it refuses before Ray is started."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray.data.index import read_index
from tests.cli.conftest import Said
from tests.conftest import write_tree

Call = Callable[..., Said]


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_args: object) -> None:
        raise AssertionError("Ray was started for a request that can be refused before")

    monkeypatch.setattr("imgcls_ray.pipeline.ingestion.cluster", started)


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "emnst"), "A preset is one of emnist, fruits360; received 'emnst'; did you mean 'emnist'?"),
        (("--image-size", "0"), "The value of --image-size can't be used"),
        (("--resize", "squeeze"), "The value of --resize can't be used"),
        (("--encoding", "png"), "The value of --encoding can't be used"),
        (("--format", "hdf6"), "The value of --format can't be used"),
        (("--val-fraction", "1"), "The value of --val-fraction can't be used"),
        (("--max-bad-fraction", "2"), "The value of --max-bad-fraction can't be used"),
        (("--labels", "nowhere.txt"), "nowhere.txt"),
        (("--group-by", "("), "regular expression"),
        (("--set", "sed=1"), "There is no setting 'sed'; did you mean 'seed'?"),
    ],
)
def test_a_request_that_can_not_be(
    imgcls: Call, pictures: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in imgcls("preprocess", pictures, "--out", tmp_path / "set", *words).sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nothing_starts")
def test_places_that_can_not_be(imgcls: Call, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    assert "holds other files already, such as 'mine.txt'" in imgcls("preprocess", pictures, "--out", tmp_path).sentence
    assert "is a file" in imgcls("preprocess", pictures, "--out", tmp_path / "mine.txt").sentence
    assert "There is no" in imgcls("preprocess", tmp_path / "none", "--out", tmp_path / "set").sentence
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.usefixtures("ray_local")
def test_the_document_and_the_second_run(imgcls: Call, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=2, each=15)
    (data / "class0" / "notes.txt").write_text("no picture")
    shutil.copy(data / "class1" / "1.png", data / "class1" / "again.png")
    words = ("preprocess", data, "--out", tmp_path / "set", "--preset", "emnist", "--json")
    said = imgcls(*words)
    assert said.code == 0, said.err
    document = json.loads(said.out)
    assert document["images"] == {"found": 32, "used": 30, "rejected": 1, "duplicates": 1}
    assert document["rejected"] == {"not a picture": 1}
    assert sum(document["splits"].values()) == 30
    assert set(document["splits"]) == {"train", "val", "test"}
    index = read_index(tmp_path / "set")
    assert index.pixels.shape == (28, 28, 1)
    assert (document["shards"], document["out"]) == (len(index.shards), str(tmp_path / "set"))
    assert document["bytes"] == sum((tmp_path / "set" / entry.file).stat().st_size for entry in index.shards)
    assert document["seconds"] > 0
    assert document["decoded"] == 32
    assert Path(document["report"]).is_file()
    assert any("32" in sentence or "picture" in sentence for sentence in document["advice"])
    again = json.loads(imgcls(*words).out)
    assert again["decoded"] == 0
    assert {**again, "seconds": 0, "decoded": 0} == {**document, "seconds": 0, "decoded": 0}


@pytest.mark.usefixtures("ray_local")
def test_people_get_the_counts_and_the_advice(imgcls: Call, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=2, each=15)
    shutil.copy(data / "class0" / "1.png", data / "class1" / "other.png")
    said = imgcls("preprocess", data, "--out", tmp_path / "set", "--image-size", "16")
    assert said.code == 0, said.err
    assert "29 of 31 pictures (2 rejected, 0 duplicates)" in said.out
    assert "2 same picture under two labels" in said.out
    assert "class1/other.png" in said.out
    assert "report.html" in said.out
