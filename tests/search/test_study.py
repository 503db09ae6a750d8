"""Sampler, scheduler and objective together, run by Tune on trials that only pretend to train."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgcls_ray.config import SearchSettings, Size, TrialSettings
from imgcls_ray.search.constraints import Constraints
from imgcls_ray.search.journal import sole_driver
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome, TrialOutcome
from imgcls_ray.search.parameters import Choice, Fixed, Float
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.second import LATENCIES
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.study import Study, _drop_weights, _outcome, run_study
from imgcls_ray.training.job import TrialData
from tests.search.pretended import EPOCHS, PretendedTrainable

SPACE = SearchSpace(
    parameters={
        "optimizer": Choice(type="choice", values=["adam", "sgd"], default="adam"),
        "dropout": Float(type="float", low=0, high=0.5, step=0.25, default=0.5),
        "learning_rate": Choice(type="choice", values=[1e-4, 3e-3], default=1e-4, when={"optimizer": "adam"}),
        "epochs": Fixed(value=EPOCHS),
    }
)
"""Nine settings. The defaults are the worst: the largest dropout, the worse optimiser, the rate far from the best."""


class Notes(StudyListener):
    def __init__(self) -> None:
        self.trials = 0
        self.told: list[str] = []

    def study_started(self, study: StudyInfo) -> None:
        self.trials = study.trials

    def study_told(self, sentence: str) -> None:
        self.told.append(sentence)


def run(folder: Path, space: SearchSpace = SPACE, **settings: Any) -> tuple[StudyOutcome, Notes]:
    study = Study(
        info=StudyInfo("s", 30, {}, {}),
        folder=folder,
        space=space,
        settings=SearchSettings.model_validate({"trials": 30, **settings}),
        data={("cnn", "native"): TrialData(folder, Size(8, 8), 3, 2)},
        resources=TrialResources(1, 1, 1, 0),
        validation=1000,
        trainable=PretendedTrainable,
    )
    notes = Notes()
    with sole_driver(folder):
        return run_study(study, notes), notes


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sampler": "grid", "scheduler": "none", "objective": "val_loss"}, "no trial is stopped: at most 54 epochs"),
        (
            {"sampler": "tpe", "scheduler": "median", "objective": "val_loss"},
            "from epoch 2 on a trial below the median",
        ),
        ({"sampler": "random", "scheduler": "asha"}, "of 9 trials about 4 after epoch 2"),
    ],
)
def test_a_finite_space_is_gone_through_once(
    settings: dict[str, str], words: str, ray_local: None, tmp_path: Path
) -> None:
    outcome, notes = run(tmp_path, **settings)
    assert notes.trials == 9
    assert notes.told[0] == "the space has 9 different settings: no more trials than that"
    assert words in notes.told[1]
    assert [trial.number for trial in outcome.trials] == list(range(9))
    assert len({trial.params.model_dump_json() for trial in outcome.trials}) == 9
    assert outcome.defaults is not None
    assert (outcome.defaults.number, outcome.defaults.epochs) == (0, EPOCHS), "the defaults are never stopped"
    pruned = [trial for trial in outcome.trials if trial.state == "pruned"]
    assert bool(pruned) == (settings["scheduler"] != "none")
    if not pruned:
        best = min(outcome.trials, key=lambda trial: trial.metrics["val_loss"])
        assert outcome.leader == outcome.best == best
        assert (best.params.dropout, best.params.optimizer) == (0, "sgd")
        assert best.value == best.metrics["val_loss"]


def test_latency_as_the_second_objective_is_measured_once_and_the_front_is_told(
    ray_local: None, tmp_path: Path
) -> None:
    limit = {"constraints": Constraints(parameters=20_000)}
    more = {"cnn_width": Choice(type="choice", values=[4, 8, 64], default=4)}
    space = SearchSpace.model_validate({"parameters": {**SPACE.parameters, **more}, **limit})
    settings = {"second_objective": "latency_ms", "sampler": "random"}
    first, notes = run(tmp_path, space, trials=4, **settings)
    assert notes.told[0].startswith("one picture on one CPU takes")
    known = (tmp_path / LATENCIES).read_text()
    again, notes = run(tmp_path, space, **settings)
    assert (tmp_path / LATENCIES).read_text() == known
    assert notes.trials == len(again.trials) == 18
    assert any("broke a constraint" in told for told in notes.told), notes.told
    assert again.trials[:4] == first.trials
    assert {trial.params.cnn_width for trial in again.trials} == {4, 8}
    times = {trial.params.cnn_width: trial.second for trial in again.trials}
    assert set(times.values()) <= set(json.loads(known).values())
    assert all((trial.second or 0) > 0 for trial in again.trials)
    assert again.second is not None
    assert again.leader.value == max(trial.value or 0 for trial in again.front)
    assert 1 <= len(again.front) <= 2, "of each of the two networks one at most"
    for trial in again.front:
        assert (tmp_path / "weights" / f"trial-{trial.number:04}.npz").exists()


def test_the_leader_of_each_stage_keeps_its_weights(tmp_path: Path) -> None:
    """It is measured on the test split, though it may be far from the best of both."""

    def trial(number: int, value: float, start: int | None = None) -> TrialOutcome:
        (tmp_path / f"{number}.npz").touch()
        params = TrialSettings() if start is None else TrialSettings(from_trial=start)
        return TrialOutcome(number, "complete", value, params, 1, 1.0, {"val_accuracy": value, "val_loss": 1 - value})

    probes = [trial(number, 0.8 + number / 100) for number in range(12)]
    tuned = [trial(12, 0.5, 11), trial(13, 0.6, 11)]
    outcome = StudyOutcome("s", (*probes, *tuned), probes[11], probes[0], 1.0)
    _drop_weights(SimpleNamespace(weights_path=lambda number: tmp_path / f"{number}.npz"), outcome)  # type: ignore[arg-type]
    assert {int(path.stem) for path in tmp_path.iterdir()} == {0, *range(4, 12), 13}


def test_a_study_that_trains_a_trial_again_has_no_defaults(tmp_path: Path) -> None:
    ended = TrialOutcome(0, "complete", 0.5, TrialSettings(), 1, 1.0, {"val_accuracy": 0.5, "val_loss": 1.0})
    stages: Any = [SimpleNamespace(outcomes=[ended], seconds=1.0)]
    for repeats in (None, "old/7"):
        info = StudyInfo("s", 1, {}, {}, repeats=repeats)
        study = Study(info, tmp_path, SPACE, SearchSettings(), {}, TrialResources(1, 1, 1, 0), 100)
        found = _outcome(study, stages, False)
        assert found.best == ended
        assert found.defaults == (None if repeats else ended)
