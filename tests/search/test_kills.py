"""A driver, or a trial's worker, is killed again and again: the study ends as if nothing had happened."""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.search.journal import JOURNAL, read_study
from imgcls_ray.search.listener import StudyListener, StudyOutcome
from imgcls_ray.search.rows import trial_rows
from tests.conftest import ingested
from tests.search.pretended import EPOCHS, PID, run

BY_HAND = "IMGCLS_TEST_KILLS" in os.environ
KILLS = int(os.environ.get("IMGCLS_TEST_KILLS", "3"))
"""More of them by hand: each takes as long as a driver takes to start."""
TRIALS = 2 * max(KILLS, 6)
TOLD = 6
"""Optuna's code in the journal: a trial's state."""


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def told(journal: Path) -> collections.Counter[int]:
    """How often each trial was ended."""
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    return collections.Counter(record["trial_id"] for record in records if record["op_code"] == TOLD)


def trials(outcome: StudyOutcome) -> list[tuple[object, ...]]:
    return [
        (one.number, one.state, one.value, one.params, one.epochs, {**one.metrics, "seconds": 0})
        for one in outcome.trials
    ]


def kill_at(folder: Path, moments: list[int], every: float, concurrency: int, trials: int, *data: Path) -> None:
    """Kill a driver of the study whenever its journal has come to so many lines."""
    import ray

    address = ray.get_runtime_context().gcs_address
    words = [address, folder, trials, every, concurrency, *data]
    command = [sys.executable, "-m", "tests.search.pretended", *map(str, words)]
    for moment in moments:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as driver:
            while lines(folder / JOURNAL) < moment and driver.poll() is None:
                time.sleep(0.001)
            assert driver.poll() is None, driver.stderr and driver.stderr.read().decode()
            driver.kill()


@pytest.fixture(scope="module")
def undisturbed(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyOutcome, int]:
    """Its outcome and the length of its journal."""
    folder = tmp_path_factory.mktemp("undisturbed")
    outcome = run(folder, TRIALS)
    return outcome, lines(folder / JOURNAL)


@pytest.mark.timeout(120 + 60 * KILLS)
@pytest.mark.parametrize("every", [0, 60], ids=["checkpoints", "none"])
def test_a_study_whose_driver_is_killed_ends_as_one_that_was_not(
    undisturbed: tuple[StudyOutcome, int], tmp_path: Path, every: float
) -> None:
    expected, length = undisturbed
    kill_at(tmp_path, sorted(random.sample(range(2, length - 1), KILLS)), every, 1, TRIALS)
    outcome = run(tmp_path, TRIALS, every=every)
    assert trials(outcome) == trials(expected)
    assert outcome.best == outcome.trials[expected.best.number]
    assert told(tmp_path / JOURNAL) == dict.fromkeys(range(TRIALS), 1)
    assert not list((tmp_path / "checkpoints").glob("*"))


@pytest.mark.timeout(120 + 60 * KILLS)
def test_with_several_at_once_each_trial_ends_once(undisturbed: tuple[StudyOutcome, int], tmp_path: Path) -> None:
    kill_at(tmp_path, sorted(random.sample(range(2, undisturbed[1] - 20), KILLS)), 0, 2, TRIALS)
    outcome = run(tmp_path, TRIALS, concurrency=2)
    assert [trial.number for trial in outcome.trials] == list(range(TRIALS))
    assert told(tmp_path / JOURNAL) == dict.fromkeys(range(TRIALS), 1)
    assert len({trial.params.model_dump_json() for trial in outcome.trials}) == TRIALS


class Watcher(StudyListener, ABC):
    """Does something once, after the third epoch of a trial that it saw begin."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, int]] = []
        self.done = 0

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        self.epochs.append((number, epoch))
        if epoch == 3 and (number, 1) in self.epochs and not self.done:
            self.done = self.act()

    @abstractmethod
    def act(self) -> int:
        """What it does; not 0."""


class Killer(Watcher):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def act(self) -> int:
        os.kill(int((self.folder / PID).read_text()), signal.SIGKILL)
        return 1


class Interrupter(Watcher):
    def act(self) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return 1


def test_a_trial_whose_worker_is_killed_goes_on_from_its_checkpoint(
    undisturbed: tuple[StudyOutcome, int], tmp_path: Path
) -> None:
    killer = Killer(tmp_path)
    outcome = run(tmp_path, TRIALS, killer)
    assert killer.done == 1
    epochs = [epoch for number, epoch in killer.epochs if number == 0]
    assert epochs in ([1, 2, 3, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert trials(outcome) == trials(undisturbed[0])


@pytest.mark.skipif(not BY_HAND, reason="each worker that starts loads TensorFlow: by hand, with IMGCLS_TEST_KILLS=20")
@pytest.mark.timeout(240 + 60 * KILLS)
def test_with_real_training_neither_a_driver_nor_a_worker_that_is_killed_changes_a_result(
    ray_local: None, pictures: Path, tmp_path: Path
) -> None:
    data = tmp_path / "set"
    ingested(pictures, data, PreprocessSettings(image_size=8))
    expected = run(tmp_path / "undisturbed", TRIALS, data=data)
    moments = sorted(random.sample(range(2, lines(tmp_path / "undisturbed" / JOURNAL) // 2), KILLS))
    folder = tmp_path / "killed"
    kill_at(folder, moments, 0, 1, TRIALS, data)
    killer = Killer(folder)
    outcome = run(folder, TRIALS, killer, data=data)
    assert killer.done == 1
    assert trials(outcome) == trials(expected)
    assert told(folder / JOURNAL) == dict.fromkeys(range(TRIALS), 1)
    assert len({trial.params.model_dump_json() for trial in outcome.trials}) == TRIALS


def test_ctrl_c_gives_the_best_so_far_and_the_study_can_be_taken_up(
    undisturbed: tuple[StudyOutcome, int], tmp_path: Path
) -> None:
    outcome = run(tmp_path, TRIALS, Interrupter())
    assert outcome.interrupted
    assert [(trial.number, trial.reason) for trial in outcome.trials] == [(0, "interrupted")]
    assert outcome.best.epochs < EPOCHS
    assert [row.state for row in trial_rows(read_study(tmp_path, "s"))] == ["running"]
    again = run(tmp_path, TRIALS)
    assert not again.interrupted
    assert trials(again) == trials(undisturbed[0])
