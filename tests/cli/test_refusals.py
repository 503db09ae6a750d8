"""What can't be done is told in one sentence with exit code 2, before anything is started or written."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.conftest import write_tree

Call = Callable[..., Said]
SMALL = ("--backbone", "cnn", "--image-size", "16")


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_args: object) -> None:
        raise AssertionError("Ray was started for a request that can be refused before")

    monkeypatch.setattr("imgcls_ray.pipeline.job.cluster", started)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    """A storage that must not be there afterwards."""
    path = tmp_path / "storage"
    yield path
    assert not path.exists()


def test_no_such_folder(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    assert "There is no folder" in imgcls("run", tmp_path / "none", "--storage", storage).sentence


def test_an_empty_folder(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "holds no folders" in imgcls("run", tmp_path / "data", "--storage", storage).sentence
    (tmp_path / "data" / "roses").mkdir()
    assert "are empty" in imgcls("run", tmp_path / "data", "--storage", storage).sentence


def test_a_file_instead_of_a_folder(imgcls: Call, pictures: Path, storage: Path) -> None:
    assert "is a file" in imgcls("run", pictures / "class0" / "0.png", "--storage", storage).sentence


def test_one_class(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    data = write_tree(tmp_path / "data", classes=1, each=4)
    assert "At least 2 classes" in imgcls("run", data, "--storage", storage).sentence


def test_a_class_with_one_picture(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    data = write_tree(tmp_path / "data", classes=2, each=4)
    (data / "class2").mkdir()
    shutil.copy(data / "class0" / "0.png", data / "class2")
    assert "at least 2 pictures; 'class2'" in imgcls("run", data, "--storage", storage).sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--trials", "0"),
            "The value of --trials can't be used: input should be greater than or equal to 1; received",
        ),
        (("--trials", "many"), "The value of --trials can't be used"),
        (("--trials",), "Option '--trials' requires an argument"),
        (("--epochs", "0"), "The value of --epochs"),
        (("--batch-size", "0"), "The value of --batch-size"),
        (("--concurrency", "0"), "The value of --concurrency"),
        (("--workers", "0"), "The value of --workers"),
        (("--seed", "-1"), "The value of --seed"),
        (("--image-size", "0x"), "The value of --image-size can't be used: an image size is N or HxW"),
        (("--image-size", "3"), "8 to 4096 pixels"),
        (("--time-budget", "x"), "The value of --time-budget can't be used: a time budget is a number with s, m or h"),
        (("--val-fraction", "2"), "The value of --val-fraction can't be used: input should be less than 0.9; received"),
        (("--colorspace", "blue"), "The value of --colorspace can't be used: input should be 'color' or 'grayscale'"),
        (("--format", "csv"), "The value of --format can't be used: input should be 'hdf5' or 'tfrecord'"),
        (("--set", "search.trails=3"), "did you mean 'search.trials'?"),
        (("--set", "search.trials"), "NAME=VALUE"),
        (("--trails", "3"), "has no option '--trails'; did you mean '--trials'?"),
        (("more",), "unexpected extra argument"),
        (("--json=yes",), "does not take a value"),
        (("--space", "quik"), "did you mean 'quick'?"),
        (("--space", "none.yaml"), "received 'none.yaml'"),
        (("--backbone", "mobilenet_v2_0.36"), "did you mean 'mobilenet_v2_0.35'?"),
        (("--backbone", "bundle:none"), "A backbone bundle:PATH names the folder of a bundle"),
        (("--study", "../x"), "A study's name"),
        (("--tracking-uri", "file:runs"), "no longer records into plain folders"),
        (("--tracking-uri", "ftp://host"), "A tracking address is"),
        (("--config", "none.yaml"), "The settings file 'none.yaml' can't be read"),
        (("--storage", "s3://bucket"), "The storage must be a folder"),
        (("--weights", "none.h5", "--backbone", "resnet50", "--image-size", "64"), "received 'none.h5'"),
    ],
)
def test_a_value_that_breaks_a_rule(
    imgcls: Call, pictures: Path, storage: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in imgcls("run", pictures, "--storage", storage, *SMALL, *words).sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("parameters: [", "is no readable YAML at line"),
        (
            "parameters: {learning_rate: {type: float, low: 0.1, high: 0.01, default: 0.05}}",
            "low must not be above high",
        ),
        ("parameters: {dropout: {type: float, low: 0.0, high: 1.5, default: 0.1}}", "dropout"),
        ("parameters: {epochs: {type: int, low: 0, high: 5, default: 1}}", "epochs"),
        ("parameters: {droput: 0.1}", "did you mean 'dropout'?"),
        ("parameters: {dropout: {type: float, low: 0.0, high: 0.5, default: 0.9}}", "the default 0.9 is not within"),
        ("parameters: {backbone: {type: choice, values: [], default: cnn}}", "backbone"),
        ("- a", "must have the key 'parameters'"),
    ],
)
def test_a_search_space_that_can_not_be(
    imgcls: Call, pictures: Path, tmp_path: Path, storage: Path, text: str, sentence: str
) -> None:
    (tmp_path / "space.yaml").write_text(text)
    said = imgcls("run", pictures, "--storage", storage, *SMALL, "--space", tmp_path / "space.yaml")
    assert sentence in said.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("search: [", "is no readable YAML (line"),
        ("- a", "must hold a mapping"),
        ("serach: {}", "did you mean 'search'?"),
        ("search: {trials: 0}", "search.trials: input should be greater than or equal to 1"),
    ],
)
def test_a_settings_file_that_can_not_be(
    imgcls: Call, pictures: Path, tmp_path: Path, storage: Path, text: str, sentence: str
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    assert sentence in imgcls("run", pictures, "--storage", storage, "--config", tmp_path / "run.yaml").sentence


def test_a_size_that_would_be_passed_over(imgcls: Call, pictures: Path, storage: Path) -> None:
    said = imgcls("run", pictures, "--storage", storage, "--backbone", "cnn", "--set", "preprocess.image_size=96")
    assert "search.image_size (--image-size)" in said.sentence and "preprocess.image_size=96" in said.sentence


def test_a_storage_that_is_a_file_or_inside_the_data(imgcls: Call, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "(not a directory)" in imgcls("run", pictures, "--storage", tmp_path / "file", *SMALL).sentence
    assert "inside the data folder" in imgcls("run", pictures, "--storage", pictures / "runs", *SMALL).sentence
    assert not (pictures / "runs").exists()


def test_a_tracking_server_that_does_not_answer(imgcls: Call, pictures: Path, storage: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = imgcls("run", pictures, "--storage", storage, *SMALL, "--tracking-uri", address)
    assert "The tracking server must answer" in said.sentence


def test_weights_that_are_nowhere(
    imgcls: Call, pictures: Path, tmp_path: Path, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("IMGCLS_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing answers there
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    before = time.monotonic()
    said = imgcls("run", pictures, "--storage", storage, "--backbone", "mobilenet_v2_0.35", "--image-size", "96")
    assert time.monotonic() - before < 10
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5" in said.sentence
    assert str(tmp_path / "keras" / "models") in said.sentence
    assert "--weights mobilenet_v2_0.35=PATH" in said.sentence


@pytest.mark.parametrize("verb", ["classify", "evaluate", "serve"])
@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("none", "which does not exist"),
        ("models:/flowers@champion", ""),
        ("models:/flowers", "models:/NAME@ALIAS or models:/NAME/VERSION"),
    ],
)
def test_a_model_that_is_not_there(
    imgcls: Call, pictures: Path, storage: Path, verb: str, model: str, sentence: str
) -> None:
    what = {"classify": [pictures / "class0" / "0.png"], "evaluate": [pictures], "serve": ["--port", "0"]}[verb]
    said = imgcls(verb, *what, "--model", model, "--storage", storage)
    if verb == "serve":
        assert said.code == 2
        assert sentence in said.err.splitlines()[-1]
    else:
        assert sentence in said.sentence


def test_pictures_and_folders_are_looked_for_before_the_model(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    options = ("--model", "none", "--storage", storage)
    assert "Each picture must be a file" in imgcls("classify", tmp_path / "none.jpg", *options).sentence
    assert "which is a folder" in imgcls("classify", tmp_path, *options).sentence
    assert "There is no folder" in imgcls("evaluate", tmp_path / "none", *options).sentence
    for file, wrong in (("", "is a folder"), ("no/m.html", "folder does not exist"), ("m.json", "where its JSON goes")):
        assert wrong in imgcls("evaluate", tmp_path, "--html", tmp_path / file, *options).sentence


@pytest.mark.parametrize(
    "words",
    [
        ("classify", "b.jpg", "--model", "m", "--csv"),
        ("request", "b.jpg", "-o"),
        ("compare", "--csv"),
        ("trials", "study", "--html"),
        ("evaluate", ".", "--model", "m", "--html"),
    ],
    ids=lambda words: words[0],
)
def test_an_option_without_its_file_does_not_take_a_picture(
    imgcls: Call, tmp_path: Path, storage: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"a picture")
    said = imgcls(*words, "a.jpg", *(() if words[0] == "request" else ("--storage", storage)))
    assert "received 'a.jpg'" in said.sentence
    assert (tmp_path / "a.jpg").read_bytes() == b"a picture"


def test_the_figures_of_a_page_take_the_place_of_nothing_else(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    options = ("evaluate", tmp_path, "--model", "none", "--storage", storage, "--html", tmp_path / "notes.html")
    facts = tmp_path / "notes.json"
    for text in ("", "[]", '{"format_version": 1}', "precious"):
        facts.write_text(text)
        assert "whose figures go to notes.json, which exists and holds something else" in imgcls(*options).sentence
        assert facts.read_text() == text
    facts.write_text('{"format_version": 1, "about": {}, "figures": {}}')
    assert "which does not exist" in imgcls(*options).sentence  # the model


@pytest.mark.parametrize(
    ("trial", "sentence"),
    [("old", "STUDY/NUMBER"), ("old/0", "There is no study 'old'"), ("0" * 32, "Nothing is recorded")],
)
def test_a_trial_that_is_not_there(imgcls: Call, storage: Path, trial: str, sentence: str) -> None:
    assert sentence in imgcls("fit", "--from-trial", trial, "--storage", storage).sentence


def test_ui_without_records(imgcls: Call, storage: Path) -> None:
    said = imgcls("ui", "--storage", storage)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("imgcls: ")


def test_the_demo_writes_nothing_for_a_setting_that_breaks_a_rule(imgcls: Call, storage: Path) -> None:
    said = imgcls("demo", "--storage", storage, "--set", "search.trails=3")
    assert "did you mean 'search.trials'?" in said.sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("trian",), "There is no command 'trian'"),
        (("runn", "x"), "did you mean 'run'?"),
        (("run",), "'imgcls run' needs DATA, folder of pictures"),
        (("classify", "x.png"), "by a --model or by the service at a --url; received neither"),
        (("classify", "x.png", "--model", "m", "--url", "http://x"), "received both"),
        (
            ("classify", "x.png", "--url", "127.0.0.1:8000"),
            "starts with http:// or https://; received '127.0.0.1:8000'",
        ),
        (("classify", "x.png", "--url", "http://x", "--csv", "t.csv"), "received --csv with --url"),
        (("classify", "--model", "m"), "'imgcls classify' needs IMG..."),
        (("--verbose",), "'imgcls' has no option '--verbose'"),
        (("serve", "--model", "m", "--port", "99999"), "The value of --port can't be used"),
        (("serve", "--model", "m", "--rate-limit", "0"), "The value of --rate-limit can't be used"),
        (("demo", "--trials", "0"), "The value of --trials can't be used"),
    ],
)
def test_a_command_line_that_can_not_be_parsed(imgcls: Call, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in imgcls(*words).sentence


def test_a_name_with_markup_is_told_as_it_is(imgcls: Call, tmp_path: Path, storage: Path) -> None:
    assert f"{tmp_path}/[red]none[/]" in imgcls("run", tmp_path / "[red]none[" / "]", "--storage", storage).sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere: see test_disks.py")
def test_no_permission(imgcls: Call, pictures: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "(permission denied)" in imgcls("run", pictures, "--storage", tmp_path / "storage", *SMALL).sentence


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("run", ""), "after 'run'"),
        (("run", "data", "--storage", ""), "after '--storage'"),
        (("run", "data", "--storage="), "for '--storage'"),
    ],
)
def test_an_empty_argument_is_not_the_current_folder(imgcls: Call, words: tuple[str, ...], place: str) -> None:
    assert f"received an empty one {place}" in imgcls(*words).sentence
