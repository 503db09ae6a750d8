"""The program as a shell starts it: what comes on stdout, what on stderr, and what Ctrl-C leaves."""

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Said
from tests.conftest import write_tree

COMMAND = [str(Path(sys.executable).parent / "imgcls")]
OURS = ("RAY_", "TF_", "PYTEST_", "IMGCLS_")
PLAIN = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
"""The environment of a user, without what the tests put into it."""
SMALL = ("--backbone", "cnn", "--image-size", "16", "--epochs", "2", "--trials", "2", "--batch-size", "16")


def program(*words: object, cwd: Path) -> Said:
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, cwd=cwd, env=PLAIN, timeout=240)
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name has all that a shell, a pattern and a markup would trip over."""
    place = tmp_path_factory.mktemp("place") / "my [bold]pictures[/bold] & ünïts"
    write_tree(place / "shapes", classes=3, each=20)
    (place / "shapes" / "class0" / "cut.png").write_bytes((place / "shapes" / "class0" / "0.png").read_bytes()[:200])
    return place


@pytest.fixture(scope="module")
def first(place: Path) -> Said:
    return program("run", "shapes", *SMALL, "--concurrency", "1", "--json", cwd=place)


@pytest.fixture(scope="module")
def document(first: Said) -> dict[str, Any]:
    assert first.code == 0, first.err
    assert first.out.endswith("}\n")
    assert first.out.count("\n") == 1
    return dict(json.loads(first.out))


def test_run_prints_one_document_with_all_that_is_promised(document: dict[str, Any], place: Path) -> None:
    names = "study best defaults test trials pruned failed workers images seconds model"
    assert set(names.split()) <= set(document)
    assert {"val_accuracy", "params"} <= set(document["best"])
    assert {"val_accuracy"} <= set(document["defaults"])
    assert {"accuracy", "f1_macro"} <= set(document["test"])
    assert document["images"] == {"found": 61, "used": 60, "rejected": 1, "duplicates": 0}
    assert set(document["seconds"]) == {"preprocess", "embed", "search", "evaluate", "total"}
    assert set(document["model"]) == {"name", "version", "alias", "champion", "bundle", "report"}
    assert (document["trials"], document["failed"], document["workers"]) == (2, 0, 1)
    assert Path(document["model"]["bundle"]).is_relative_to(place / "imgcls-runs")


def test_everything_else_is_on_stderr_and_nothing_of_it_is_noise(first: Said) -> None:
    lines = first.err.splitlines()
    assert [line.split()[0] for line in lines if line[:1].isalpha()] == [
        *("preprocess", "search", "ensemble", "evaluate"),
        *("Study", "validation", "verdict", "ensemble", "test", "best", "trials", "seconds"),
        *("report", "model", "bundle", "registered", "Next"),
    ]
    assert len([line for line in lines if re.match(r" {11}trial \d: ", line)]) == 2
    for noise in ("raylet", "WARNING", "Warning", "absl", "alembic", "INFO", ".cc:", "oneDNN", "\x1b["):
        assert noise not in first.err


@pytest.mark.usefixtures("ray_local")
def test_a_second_run_tells_people_in_a_table_that_can_be_typed_from(
    document: dict[str, Any], place: Path, imgcls: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    said = imgcls("run", "shapes", "--study", document["study"], "--resume")  # which trains nothing
    assert (said.code, said.err) == (0, "")
    assert "done before" in said.out
    assert "\x1b[" not in said.out
    folder = place / "imgcls-runs"
    assert str(folder / "bundles") in said.out  # in one piece, however long
    assert "preprocess shapes at 16 pixels\n" in said.out
    (command,) = [line.strip() for line in said.out.splitlines() if line.startswith("  imgcls classify PICTURE")]
    words = shlex.split(command)[1:]
    assert words[-1] == str(folder)
    answered = program(*[str(place / "shapes/class2/1.png") if w == "PICTURE" else w for w in words], cwd=place)
    assert (answered.code, answered.err) == (0, "")
    assert answered.out.splitlines()[0] == str(place / "shapes/class2/1.png")
    assert re.fullmatch(r"  [01]\.\d{4}  █* +class\d", answered.out.splitlines()[1])


def test_classify_prints_one_document(
    document: dict[str, Any], place: Path, imgcls: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    images = ["shapes/class1/0.png", "shapes/class0/cut.png", "shapes/class2/0.png"]
    said = imgcls("classify", *images, "--model", f"models:/{document['model']['name']}@champion", "--json")
    assert said.code == 2  # one of them is broken
    assert said.out.count("\n") == 1
    answers = json.loads(said.out)
    assert [answer["image"] for answer in answers] == images
    assert [set(answer) for answer in answers] == [
        {"image", "predictions", "decision"},
        {"image", "error"},
        {"image", "predictions", "decision"},
    ]
    assert [set(prediction) for prediction in answers[0]["predictions"]] == [{"label", "probability"}] * 3
    assert said.err.splitlines() == [f"imgcls: shapes/class0/cut.png: {answers[1]['error']}"]


def test_evaluate_prints_one_document_or_a_table(
    document: dict[str, Any], place: Path, imgcls: Callable[..., Said]
) -> None:
    options = ("evaluate", place / "shapes", "--model", document["model"]["bundle"])
    said = imgcls(*options, "--json")
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    found = json.loads(said.out)
    assert {"accuracy", "loss", "f1_macro", "per_class", "images"} <= set(found)
    assert (found["images"], found["rejected"]) == (60, {"class0/cut.png": "truncated or damaged"})
    table = imgcls(*options)
    assert (table.code, table.err) == (0, "")
    assert table.out.startswith(f"accuracy {found['accuracy']:.4f} ")
    assert "  class0/cut.png: truncated or damaged" in table.out.splitlines()


def test_evaluate_writes_a_page_beside_what_it_prints(
    document: dict[str, Any], place: Path, tmp_path: Path, imgcls: Callable[..., Said]
) -> None:
    options = ("evaluate", place / "shapes", "--model", document["model"]["bundle"])
    said = imgcls(*options, "--html", tmp_path / "model.html", "--json")
    assert (said.code, said.err) == (0, "")
    facts = json.loads((tmp_path / "model.json").read_bytes())
    assert facts["metrics"]["accuracy"] == json.loads(said.out)["accuracy"]
    assert facts["about"]["rejected"] == {"class0/cut.png": "truncated or damaged"}
    assert "truncated or damaged" in (tmp_path / "model.html").read_text()
    # The run has left one too, of its test split.
    page = Path(document["model"]["report"])
    assert page.name == "model.html"
    assert json.loads(page.with_suffix(".json").read_bytes())["metrics"]["accuracy"] == document["test"]["accuracy"]


def left_of(session: int) -> list[str]:
    listed = subprocess.run(["ps", "-s", str(session), "-o", "pid=,stat=,args="], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if line.split()[1][0] != "Z"]


def wait_for(what: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.1)


@pytest.mark.usefixtures("document")
def test_ctrl_c_in_the_search_ends_everything(place: Path, tmp_path: Path) -> None:
    log, storage = tmp_path / "log", tmp_path / "runs"
    shutil.copytree(place / "imgcls-runs" / "data", storage / "data")  # so that the search begins sooner
    words = ["run", "shapes", *SMALL, "--epochs", "10000", "--storage", str(storage)]
    with log.open("w") as file, (tmp_path / "err").open("w") as err:
        running = subprocess.Popen(
            [*COMMAND, *words], stdout=file, stderr=err, cwd=place, env=PLAIN, start_new_session=True
        )

    def epochs() -> int:
        database = storage / "mlflow.db"
        if not database.exists():
            return 0
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            known = connection.execute("select count(*) from sqlite_master where name = 'metrics'").fetchone()[0]
            return int(connection.execute("select count(*) from metrics").fetchone()[0]) if known else 0

    try:
        wait_for(lambda: epochs() > 0 or running.poll() is not None, 120)
        assert running.poll() is None, (tmp_path / "err").read_text()
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the program and all that it started
        assert running.wait(90) == 130
        sentence = (tmp_path / "err").read_text()
        assert re.fullmatch(
            r"imgcls: interrupted; the best of [^\n]* is registered, [^\n]*--resume[^\n]*\.\n", sentence
        )
        assert len(list((storage / "bundles").iterdir())) == 1
        wait_for(lambda: not left_of(running.pid), 20)
    finally:
        for line in left_of(running.pid):
            os.kill(int(line.split()[0]), signal.SIGKILL)
        running.wait()
