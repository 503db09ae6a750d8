"""`imgcls embed`: what it writes and prints, and what it refuses before Ray is started."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray.embeddings.export import LISTING
from tests.cli.conftest import Said
from tests.embeddings.made import make_set

Call = Callable[..., Said]
SMALL = ("--backbone", "mobilenet_0.25", "--weights", "none")


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_args: object) -> None:
        raise AssertionError("Ray was started for a request that can be refused before")

    monkeypatch.setattr("imgcls_ray.jobs.connection.cluster", started)


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--format", "tfrecords"), "--format is one of npz, tfrecord; received 'tfrecords'; did you mean 'tfrecord'?"),
        (("--engine", "onnx"), "--engine is one of auto, tensorflow, openvino; received 'onnx'"),
        (("--precision", "float16"), "--precision is one of float32, bfloat16; received 'float16'; did you mean"),
        (("--engine", "tensorflow", "--precision", "bfloat16"), "computes in float32; received bfloat16"),
        (("--backbone", "mobilenet_v2"), "A backbone is one of the"),
        (("--views", "-1"), "The value of --views can't be used"),
        (("--weights", "nowhere.h5"), "there is no 'nowhere.h5'"),
    ],
)
def test_a_request_that_can_not_be(imgcls: Call, tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    found = make_set(tmp_path / "set")
    out = tmp_path / "out"
    assert sentence in imgcls("embed", found.path, "--out", out, *words).sentence
    assert not out.exists()


@pytest.mark.usefixtures("nothing_starts")
def test_inside_a_job_places_are_absolute(imgcls: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = make_set(tmp_path / "set")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.chdir(tmp_path)
    said = imgcls("embed", found.path, "--out", "out", *SMALL)
    assert "the output folder must be named as an absolute path that every node sees; received 'out'" in said.sentence
    assert "the data must be named" in imgcls("embed", "set", "--out", tmp_path / "out", *SMALL).sentence
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.usefixtures("nothing_starts")
def test_data_that_is_not_there_or_damaged(imgcls: Call, tmp_path: Path) -> None:
    found = make_set(tmp_path / "set")
    with (found.path / "train-00000.h5").open("r+b") as file:
        file.seek(3000)
        file.write(b"damage")
    out = tmp_path / "out"
    assert "There is no" in imgcls("embed", tmp_path / "none", "--out", out, *SMALL).sentence
    assert "it is damaged or cut" in imgcls("embed", found.path, "--out", out, *SMALL).sentence
    assert not out.exists()


def test_a_set_becomes_files_and_one_document(imgcls: Call, ray_local: None, tmp_path: Path) -> None:
    found = make_set(tmp_path / "set")
    words = ("embed", found.path, "--out", tmp_path / "out", *SMALL, "--format", "tfrecord", "--views", "1", "--json")
    said = imgcls(*words)
    assert said.code == 0, said
    document = json.loads(said.out)
    expected = {"files": 6, "rows": 64, "features": 256, "computed": 6, "engine": "openvino", "precision": "float32"}
    assert {name: document[name] for name in expected} == expected
    assert document.keys() == {*expected, "seconds", "out"}
    assert document["out"] == str(tmp_path / "out")
    assert json.loads((tmp_path / "out" / LISTING).read_text())["views"] == 1
    assert "64 vectors of 256 features (openvino, float32)" in said.err
    again = imgcls(*words)
    assert json.loads(again.out)["computed"] == 0
    other = imgcls(*words, "--precision", "bfloat16")
    assert "holds those of mobilenet_0.25 in float32 as tfrecord" in " ".join(other.err.splitlines()[-1:])
    assert (other.code, other.out) == (2, "")


def test_pictures_are_preprocessed_first(imgcls: Call, ray_local: None, pictures: Path, tmp_path: Path) -> None:
    said = imgcls("embed", pictures, "--out", tmp_path / "out", *SMALL, "--json")
    assert said.code == 0, said
    document = json.loads(said.out)
    assert (document["rows"], document["features"]) == (60, 256)
    assert (tmp_path / "out" / "set" / "index.json").is_file()
    assert imgcls("embed", tmp_path / "out" / "set", "--out", tmp_path / "out", *SMALL).code == 0
