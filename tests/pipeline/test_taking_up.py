"""The search alone, its end by Ctrl-C, and what a study that is taken up may and may not change."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgcls_ray import api
from imgcls_ray.errors import DataError, SettingsError, StorageError
from imgcls_ray.pipeline.job import search
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.search.listener import StudyInfo, TrialOutcome
from tests.conftest import ingested


class Notes(RunListener):
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.restored: list[int] = []
        self.ended: list[int] = []

    def step_started(self, name: str, what: str) -> None:
        self.steps.append(name)

    def study_started(self, study: StudyInfo) -> None:
        self.steps.append(f"study of {study.trials}")

    def trial_restored(self, outcome: TrialOutcome, values: Any) -> None:
        self.restored.append(outcome.number)

    def trial_ended(self, outcome: TrialOutcome) -> None:
        self.ended.append(outcome.number)


@pytest.fixture(scope="module")
def prepared(ray_local: None, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "set"
    ingested(pictures, folder, api.PreprocessSettings(image_size=16))
    return folder


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def settings(data: Path, storage: Path, resume: bool = False, **search: Any) -> api.RunSettings:
    chosen = {"backbones": ["cnn"], "trials": 2, "epochs": 2, "concurrency": 1, **search}
    flags = {"data": str(data), "storage": str(storage), "study": "alone", "resume": resume, "search": chosen}
    return api.load_settings(api.RunSettings, flags=flags)


@pytest.fixture(scope="module")
def found(prepared: Path, storage: Path) -> tuple[api.RunResult, Notes]:
    notes = Notes()
    return search(settings(prepared, storage), notes), notes


def test_the_search_alone_takes_the_set_as_it_is(found: tuple[api.RunResult, Notes], prepared: Path) -> None:
    result, notes = found
    assert notes.steps == ["search", "study of 2", "ensemble", "evaluate"]
    assert result.data == str(prepared)
    assert result.images.used == 60
    assert result.reused["preprocess"]
    assert Path(result.bundle).is_dir()


def test_a_finished_study_that_is_taken_up_comes_to_the_same(
    found: tuple[api.RunResult, Notes], prepared: Path, storage: Path
) -> None:
    notes = Notes()
    again = search(settings(prepared, storage, resume=True), notes)
    assert notes.restored == [0, 1]
    assert notes.ended == []
    assert again.bundle == found[0].bundle
    assert again.model and found[0].model
    assert again.model == replace(found[0].model, champion=1), "it was registered once, and is the champion by now"
    assert again.test.accuracy == found[0].test.accuracy
    assert again.study.trials == found[0].study.trials


def test_it_may_get_more_trials(found: tuple[api.RunResult, Notes], prepared: Path, storage: Path) -> None:
    notes = Notes()
    again = search(settings(prepared, storage, resume=True, trials=3), notes)
    assert (notes.restored, notes.ended) == ([0, 1], [2])
    assert len(again.study.trials) == 3


def test_what_differs_is_named_before_anything_starts(
    found: tuple[api.RunResult, Notes], prepared: Path, storage: Path
) -> None:
    with pytest.raises(SettingsError, match=r"search\.seed of 'alone' was 0 and is now 1"):
        search(settings(prepared, storage, resume=True, seed=1))
    with pytest.raises(SettingsError, match=r"search\.epochs of 'alone' was 2 and is now 5"):
        search(settings(prepared, storage, resume=True, epochs=5))
    with pytest.raises(SettingsError, match="more trials, not fewer"):
        search(settings(prepared, storage, resume=True, trials=1))
    with pytest.raises(StorageError, match="with --resume, or choose another name"):
        search(settings(prepared, storage))
    with pytest.raises(StorageError, match=r"no study 'aline'.*did you mean 'alone'"):
        search(settings(prepared, storage, resume=True).model_copy(update={"study": "aline"}))
    with pytest.raises(StorageError, match="no unfinished study"):
        search(settings(prepared, storage, resume=True).model_copy(update={"study": None}))


def test_other_data_is_refused(
    found: tuple[api.RunResult, Notes], pictures: Path, storage: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    ingested(pictures, other, api.PreprocessSettings(image_size=16, seed=1))
    with pytest.raises(SettingsError, match="the data's fingerprint"):
        search(settings(other, storage, resume=True, trials=3))


def test_pictures_are_for_the_main_job_and_sizes_are_the_sets_own(
    prepared: Path, pictures: Path, storage: Path
) -> None:
    with pytest.raises(DataError, match="for pictures use 'imgcls run'"):
        search(settings(pictures, storage))
    with pytest.raises(SettingsError, match="are 16 pixels; received the image size 32"):
        search(settings(prepared, storage, image_size=32).model_copy(update={"study": "sizes"}))


@pytest.mark.timeout(400)
def test_ctrl_c_registers_the_best_so_far_and_says_how_to_go_on(prepared: Path, storage: Path) -> None:
    import ray

    journal = storage / "studies" / "stopped" / "journal.log"
    flags = ["--backbone", "cnn", "--epochs", "30", "--trials", "90", "--concurrency", "1", "--study", "stopped"]
    command = [str(Path(sys.executable).parent / "imgcls"), "search", str(prepared), "--storage", str(storage), *flags]
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, "--json"], env=environment, text=True, **pipes) as program:  # type: ignore[call-overload]
        while program.poll() is None and not (journal.exists() and b"imgcls.outcome" in journal.read_bytes()):
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=300)
    assert program.returncode == 130, err
    assert "--resume --study stopped goes on from here" in err.splitlines()[-1]
    document = json.loads(out)
    assert document["interrupted"]
    assert 1 <= document["trials"] < 90
    assert Path(document["model"]["bundle"]).is_dir()
