"""`imgcls track`: what MLflow has not got of a study, and a study that it can't be asked about."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray.config import RunSettings
from imgcls_ray.config.saving import write_settings
from imgcls_ray.search.record import StudyRecord
from imgcls_ray.tracking.outbox import Outbox
from imgcls_ray.tracking.recorder import Recorder
from tests.cli.conftest import Said
from tests.tracking.conftest import INFO, outcome, tell_study

Program = Callable[..., Said]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage with a study of which nothing was sent."""
    folder = tmp_path / "runs" / "studies" / INFO.name
    StudyRecord(INFO.name, "/pictures", 3, {}).write(folder)
    write_settings(folder / "settings.yaml", RunSettings(data="/pictures"))
    tell_study(Recorder(str(tmp_path / "runs"), lambda name: Outbox(folder, "nowhere")), (outcome(0, 0.5),))
    return tmp_path / "runs"


def test_what_is_left_is_sent_and_told_for_people_and_for_programs(imgcls: Program, storage: Path) -> None:
    said = imgcls("track", INFO.name, "--storage", storage)
    assert (said.code, said.err) == (0, "")
    assert "records at sqlite:///" in said.out
    assert "sent now; run " in said.out
    document = json.loads(imgcls("track", INFO.name, "--storage", storage, "--json").out)
    assert (document["study"], document["sent"], document["model"], document["refused"]) == (INFO.name, 0, None, None)
    assert document["run"] in said.out


def test_an_unknown_study_is_told(imgcls: Program, storage: Path) -> None:
    assert "did you mean 'pets-1'?" in imgcls("track", "pets", "--storage", storage).sentence
