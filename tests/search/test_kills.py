"""A driver, or a trial's worker, is killed again and again: the study ends as if nothing had happened."""

import collections
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgcls_ray import api
from imgcls_ray.pipeline import RunListener
from imgcls_ray.search.rows import TrialRow, list_trials
from imgcls_ray.tracking.client import connect
from imgcls_ray.tracking.location import resolve_uri
from tests.processes import descendants, naming

KILLS = int(os.environ.get("IMGCLS_TEST_KILLS", "2"))
"""More of them by hand: each takes as long as a driver and a trial's worker take to start."""

TRIALS, EPOCHS = max(4, KILLS), 4
TOLD = 6
"""Optuna's code in the journal: a trial's state."""

DRIVER = """
import sys
from pathlib import Path
from imgcls_ray import api
api.run(api.load_settings(api.RunSettings, Path(sys.argv[1]), [f"resume={sys.argv[2]}"]))
"""


def settings(data: Path, storage: Path, study: str) -> api.RunSettings:
    search = {
        "backbones": ["cnn"],
        "image_size": 16,
        "trials": TRIALS,
        "epochs": EPOCHS,
        "batch_size": 16,
        "concurrency": 1,
        "checkpoint_seconds": 0,
    }
    flags = {"data": str(data), "storage": str(storage), "study": study, "search": search}
    return api.load_settings(api.RunSettings, flags=flags)


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def told(journal: Path) -> collections.Counter[int]:
    """How often each trial was ended."""
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    return collections.Counter(record["trial_id"] for record in records if record["op_code"] == TOLD)


def without_seconds(rows: list[TrialRow]) -> list[tuple[object, ...]]:
    return [(row.number, row.state, row.value, row.params, row.epochs) for row in rows]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def undisturbed(ray_local: None, pictures: Path, storage: Path) -> api.RunResult:
    return api.run(settings(pictures, storage, "undisturbed"))


@pytest.mark.timeout(300 + 120 * KILLS)
def test_a_study_whose_driver_is_killed_ends_as_one_that_was_not(
    undisturbed: api.RunResult, pictures: Path, storage: Path
) -> None:
    import ray

    file = storage / "killed.yaml"
    file.write_text(settings(pictures, storage, "killed").model_dump_json())  # JSON is YAML
    journal = storage / "studies" / "killed" / "journal.log"
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    whole = lines(storage / "studies" / "undisturbed" / "journal.log")
    moments = sorted(random.sample(range(2, whole), KILLS))
    for moment in moments:
        command = [sys.executable, "-c", DRIVER, str(file), str(journal.exists()).lower()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as driver:
            while lines(journal) < moment and driver.poll() is None:
                time.sleep(0.005)
            assert driver.poll() is None, driver.stderr and driver.stderr.read().decode()
            driver.kill()
    result = api.run(settings(pictures, storage, "killed").model_copy(update={"resume": True}))

    assert [trial.number for trial in result.study.trials] == list(range(TRIALS))
    assert set(told(journal).values()) == {1}
    rows = list_trials(journal.parent, "killed")
    assert without_seconds(rows) == without_seconds(list_trials(storage / "studies" / "undisturbed", "undisturbed"))
    assert result.study.best.params == undisturbed.study.best.params
    assert result.test.accuracy == undisturbed.test.accuracy
    assert not list((journal.parent / "checkpoints").glob("*"))
    client = connect(resolve_uri(storage, None))
    runs = client.search_runs([client.get_experiment_by_name("imgcls").experiment_id])
    children = [run for run in runs if run.info.run_name.startswith("trial-")]
    assert len(children) == 2 * TRIALS
    assert {run.info.status for run in children} == {"FINISHED"}


class Killer(RunListener):
    """Kills the worker of a trial once, after its second epoch."""

    def __init__(self) -> None:
        self.killed = 0
        self.epochs: list[tuple[int, int]] = []

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        self.epochs.append((number, epoch))
        if not self.killed and number == 0 and epoch == 2:
            for pid in naming("ray::ResourceTrainable") & descendants(os.getpid()):
                os.kill(pid, 9)
                self.killed += 1


@pytest.mark.timeout(300)
def test_a_trial_whose_worker_is_killed_goes_on_from_its_checkpoint(
    undisturbed: api.RunResult, pictures: Path, storage: Path
) -> None:
    killer = Killer()
    result = api.run(settings(pictures, storage, "worker"), killer)
    assert killer.killed == 1
    assert [epoch for number, epoch in killer.epochs if number == 0] in ([1, 2, 2, 3, 4], [1, 2, 3, 4])
    assert [(trial.number, trial.state, trial.value) for trial in result.study.trials] == [
        (trial.number, trial.state, trial.value) for trial in undisturbed.study.trials
    ]
