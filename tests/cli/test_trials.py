"""`imgcls trials`: the list and the report of a study, from its journal alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray.search.journal import open_journal
from imgcls_ray.search.record import StudyRecord
from tests.cli.conftest import Said
from tests.reports.studies import made

Program = Callable[..., Said]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage with the study `made`, which was killed before its end."""
    folder = tmp_path / "runs" / "studies" / "made"
    StudyRecord("made", "/pictures", 8, {}).write(folder)
    made(6, storage=open_journal(folder))
    return tmp_path / "runs"


def test_the_report_of_a_killed_study_is_written_where_it_is_asked_for(
    imgcls: Program, storage: Path, tmp_path: Path
) -> None:
    before = sorted(storage.rglob("*"))
    file = tmp_path / "page.html"
    said = imgcls("trials", "made", "--storage", storage, "--html", file)
    assert (said.code, said.err) == (0, "")
    assert str(file) in said.out
    assert "this one was not ended, or is still running" in file.read_text()
    assert sorted(storage.rglob("*")) == before
    rows = json.loads(imgcls("trials", "made", "--storage", storage, "--html", file, "--json").out)
    assert sorted(row["number"] for row in rows) == list(range(6))


def test_a_place_that_can_not_be_written_is_told(imgcls: Program, storage: Path, tmp_path: Path) -> None:
    said = imgcls("trials", "made", "--storage", storage, "--html", tmp_path / "nowhere" / "page.html")
    assert "nowhere" in said.sentence
