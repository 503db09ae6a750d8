"""Two stages in one study, run by Tune on trials that only pretend to train."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imgcls_ray.config import SearchSettings, Size, TrialSettings
from imgcls_ray.data.index import Index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.embeddings.store import Embeddings
from imgcls_ray.models import NO_WEIGHTS
from imgcls_ray.search.journal import read_study, sole_driver
from imgcls_ray.search.listener import StudyInfo as Info
from imgcls_ray.search.listener import StudyListener, StudyOutcome
from imgcls_ray.search.parameters import Choice, Fixed, Float
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.rows import trial_rows
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.study import Study, run_study
from imgcls_ray.training.job import TrialData
from tests.search.pretended import PretendedTrainable

RATE = Float(type="float", low=1e-4, high=1e-1, log=True, default=1e-3)
SPACE = SearchSpace(
    parameters={
        "dropout": Float(type="float", low=0, high=0.5, default=0.25),
        "learning_rate": RATE,
        "epochs": Fixed(value=2),
    },
    finetune={
        "unfrozen_layers": Choice(type="choice", values=[4, 10], default=4),
        "learning_rate": RATE,
        "epochs": Fixed(value=3),
    },
)

Whole = tuple[StudyOutcome, list[list[int]], "Notes", Path]
"""What a study came to, the starts that were asked for, what it told, its folder."""


class Notes(StudyListener):
    """Ends the study when the trial of a number begins, if there is one."""

    def __init__(self, end_at: int | None = None) -> None:
        self.told: list[str] = []
        self.started: list[int] = []
        self._end_at = end_at

    def study_told(self, sentence: str) -> None:
        self.told.append(sentence)

    def trial_started(self, number: int, params: TrialSettings) -> None:
        self.started.append(number)
        if number == self._end_at:
            os.kill(os.getpid(), signal.SIGINT)


def data(folder: Path, embedded: bool = True) -> dict[tuple[str, str], TrialData]:
    index = Index(Labels.of(["a", "b"]), PixelOps(8, 8, "color"), "hdf5", "", "d", (), {}, "")
    embeddings = Embeddings(folder, index, "x", NO_WEIGHTS, 4, 0, 0, 0) if embedded else None
    return {("cnn", "native"): TrialData(folder, Size(8, 8), 3, 2, embeddings)}


def run(folder: Path, notes: Notes, embedded: bool = True, **settings: Any) -> tuple[StudyOutcome, list[list[int]]]:
    asked: list[list[int]] = []

    def prepare(starts: Mapping[int, TrialSettings]) -> tuple[Any, Any]:
        asked.append(list(starts))
        return SPACE.finetune, data(folder)

    study = Study(
        info=Info("s", 10, {}, {}),
        folder=folder,
        space=SPACE,
        settings=SearchSettings.model_validate({"trials": 10, "scheduler": "none", "finetune_share": 0.4, **settings}),
        data=data(folder, embedded),
        resources=TrialResources(1, 1, 1, 0),
        validation=1000,
        prepare=prepare if embedded else None,
        trainable=PretendedTrainable,
    )
    with sole_driver(folder):
        return run_study(study, notes), asked


@pytest.fixture(scope="module")
def undisturbed(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, notes = tmp_path_factory.mktemp("whole"), Notes()
    return *run(folder, notes), notes, folder


def test_the_best_probes_are_fine_tuned_from_their_weights(
    undisturbed: Whole,
) -> None:
    outcome, asked, notes, folder = undisturbed
    probed, tuned = outcome.trials[:6], outcome.trials[6:]
    assert [trial.number for trial in outcome.trials] == list(range(10))
    best = sorted(probed, key=lambda trial: -float(trial.value or 0))[:3]
    assert asked == [[trial.number for trial in best]]
    assert [trial.params.from_trial for trial in probed] == [None] * 6
    assert [trial.params.from_trial for trial in tuned[:3]] == asked[0], "the section's defaults from each"
    for trial in tuned:
        start = outcome.trials[trial.params.from_trial or 0]
        assert (trial.params.dropout, trial.epochs) == (start.params.dropout, 3)
        # What pretends to be weights is what pretends to be the accuracy: it goes on from that of the start.
        assert float(trial.value or 0) > float(start.value or 0)
    assert (outcome.probed, outcome.tuned) == (best[0], outcome.leader)
    assert notes.told[0].startswith("two stages: of 10 trials 6 probe and 4 fine-tune the best of them; what probing")
    assert "fine-tuning starts from trials " + ", ".join(map(str, asked[0])) in notes.told
    kept = {int(path.stem.removeprefix("trial-")) for path in (folder / "weights").iterdir()}
    assert kept >= set(asked[0]), "the trials that others start from can still be read"
    rows = trial_rows(read_study(folder, "s"))
    assert {row.number: row.params.get("from_trial") for row in rows} == {
        trial.number: trial.params.from_trial for trial in outcome.trials
    }


@pytest.mark.parametrize("end_at", [4, 8])
def test_a_study_ended_in_either_stage_goes_on_to_the_same_trials(
    undisturbed: Whole,
    tmp_path: Path,
    end_at: int,
) -> None:
    whole, asked = undisturbed[0], undisturbed[1]
    first, _ = run(tmp_path, Notes(end_at))
    assert first.interrupted
    assert len(first.trials) == end_at + 1
    notes = Notes()
    again, asked_again = run(tmp_path, notes)
    assert asked_again == asked
    assert notes.started == list(range(end_at, 10))
    assert [(trial.params, trial.value) for trial in again.trials] == [
        (trial.params, trial.value) for trial in whole.trials
    ]


def test_more_trials_are_fine_tuned_once_that_has_begun(undisturbed: Whole) -> None:
    whole, asked, _, folder = undisturbed
    notes = Notes()
    again, asked_again = run(folder, notes, trials=12)
    assert asked_again == asked
    assert notes.started == [10, 11]
    assert [trial.params.from_trial is None for trial in again.trials[10:]] == [False, False]
    assert again.trials[:10] == whole.trials


def test_without_weights_all_trials_are_of_the_first_stage(ray_local: None, tmp_path: Path) -> None:
    notes = Notes()
    outcome, asked = run(tmp_path, notes, embedded=False, trials=4)
    assert asked == []
    assert [trial.params.from_trial for trial in outcome.trials] == [None] * 4
    assert outcome.tuned is None
    assert notes.told[0] == "no second stage, as no backbone has weights: all trials train from scratch"
