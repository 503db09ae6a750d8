import math
import pickle
import time

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.listener import StudyListener, TrialOutcome
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.parameters import Fixed, Float
from imgcls_ray.search.proposals import Proposals
from imgcls_ray.search.sampler import OptunaSampler
from imgcls_ray.search.space import SearchSpace

SPACE = SearchSpace(
    parameters={
        "dropout": Float(type="float", low=0, high=0.5, default=0.25),
        "epochs": Fixed(value=3),
    }
)


class Notes(StudyListener):
    def __init__(self) -> None:
        self.started: list[int] = []
        self.epochs: list[tuple[int, int]] = []
        self.ended: list[TrialOutcome] = []

    def trial_started(self, number: int, params: TrialSettings) -> None:
        self.started.append(number)

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        self.epochs.append((number, epoch))

    def trial_ended(self, outcome: TrialOutcome) -> None:
        self.ended.append(outcome)


def make(
    trials: int = 4, concurrency: int = 2, seconds: float = math.inf, objective: str = "val_accuracy"
) -> tuple[OptunaSampler, Notes]:
    notes, aim = Notes(), Objective(objective)
    study = optuna.create_study(direction=aim.direction)
    proposals = Proposals(study, SPACE, SearchSettings(), concurrency)
    return OptunaSampler(proposals, aim, trials, concurrency, time.monotonic() + seconds, notes), notes


def told(sampler: OptunaSampler) -> optuna.trial.FrozenTrial:
    return sampler._proposals.study.trials[0]


def report(epoch: int, accuracy: float, loss: float = 1.0, **more: object) -> dict[str, object]:
    return {"epoch": epoch, "val_accuracy": accuracy, "val_loss": loss, "loss": loss, "accuracy": accuracy, **more}


def test_trial_0_is_the_defaults() -> None:
    sampler, notes = make()
    first = sampler.suggest("a")
    assert isinstance(first, dict)
    assert (first["number"], first["settings"]["dropout"]) == (0, 0.25)
    second = sampler.suggest("b")
    assert isinstance(second, dict)
    assert second["settings"]["dropout"] != 0.25
    assert notes.started == [0, 1]


def test_no_more_trials_than_may_run_at_once_and_none_beyond_the_last() -> None:
    sampler, _ = make(trials=3, concurrency=2)
    assert isinstance(sampler.suggest("a"), dict)
    assert isinstance(sampler.suggest("b"), dict)
    assert sampler.suggest("c") is None
    sampler.on_trial_complete("a", report(3, 0.5))
    assert isinstance(sampler.suggest("c"), dict)
    sampler.on_trial_complete("b", report(3, 0.5))
    assert sampler.suggest("d") == Searcher.FINISHED


def test_nothing_is_suggested_after_the_deadline() -> None:
    sampler, _ = make(seconds=-1)
    assert sampler.suggest("a") == Searcher.FINISHED


def test_a_stopped_trial_is_told_as_pruned_with_its_intermediate_values() -> None:
    sampler, notes = make()
    sampler.suggest("a")
    sampler.on_trial_result("a", report(1, 0.4, kept=True))
    sampler.on_trial_result("a", report(2, 0.3))
    sampler.on_trial_complete("a", report(2, 0.3))
    assert told(sampler).state == TrialState.PRUNED
    assert told(sampler).intermediate_values == {1: 0.4, 2: 0.3}
    outcome = notes.ended[0]
    assert (outcome.state, outcome.value, outcome.epochs) == ("pruned", 0.4, 2)


def test_a_finished_trial_counts_with_the_epoch_that_was_kept() -> None:
    sampler, notes = make()
    sampler.suggest("a")
    for epoch, accuracy, loss in ((1, 0.4, 1.0), (2, 0.8, 0.9), (3, 0.8, 0.7)):
        sampler.on_trial_result("a", report(epoch, accuracy, loss, kept=True))
    sampler.on_trial_complete("a", report(3, 0.8, 0.7, kept=True))
    assert told(sampler).state == TrialState.COMPLETE
    assert told(sampler).value == 0.8
    assert notes.epochs == [(0, 1), (0, 2), (0, 3)]
    assert notes.ended[0].metrics["val_loss"] == 0.7


@pytest.mark.parametrize("how", ["error", "diverged", "silent"])
def test_a_failed_trial_is_scored_worst(how: str) -> None:
    sampler, notes = make()
    sampler.suggest("a")
    if how == "error":
        sampler.on_trial_result("a", report(1, 0.9))
        sampler.on_trial_complete("a", None, error=True)
    elif how == "diverged":
        sampler.on_trial_complete("a", report(1, 0.0, math.nan, reason="the loss is no longer a number"))
    else:
        sampler.on_trial_complete("a", None)
    assert notes.ended[0].state == "failed"
    assert told(sampler).state == TrialState.COMPLETE
    assert told(sampler).value == 0


def test_with_a_loss_as_objective_less_is_better_and_a_failed_trial_is_told_more_than_any_other() -> None:
    sampler, notes = make(objective="val_loss")
    sampler.suggest("a")
    sampler.on_trial_result("a", report(1, 0.4, 25.0, kept=True))
    sampler.on_trial_complete("a", report(3, 0.5, 0.7, kept=True))
    assert notes.ended[0].value == told(sampler).value == 0.7
    sampler.suggest("b")
    sampler.on_trial_complete("b", None, error=True)
    assert sampler._proposals.study.trials[1].value == 25.0
    assert sampler._proposals.study.direction.name == "MINIMIZE"


def test_a_trial_that_started_again_with_half_the_batch_is_known_by_it() -> None:
    sampler, notes = make()
    sampler.suggest("a")
    sampler.on_trial_result("a", report(1, 0.9, kept=True))
    halved = {"note": "out of memory, so the batch was halved to 16", "batch_size": 16}
    for epoch, accuracy in ((1, 0.4), (2, 0.5)):
        sampler.on_trial_result("a", report(epoch, accuracy, kept=True, **halved))
    sampler.on_trial_complete("a", report(3, 0.6, kept=True, **halved))
    (outcome,) = notes.ended
    assert (outcome.number, outcome.state, outcome.value) == (0, "complete", 0.6)
    assert outcome.params.batch_size == 16
    assert "batch_size" in outcome.params.model_fields_set
    assert outcome.reason == halved["note"]


def test_tune_can_pickle_it_while_the_study_runs() -> None:
    sampler, _ = make()
    sampler.suggest("a")
    pickle.loads(pickle.dumps(sampler))  # noqa: S301 - our own object


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_trial_that_started_again_counts_with_its_new_run_however_short(epoch: int) -> None:
    sampler, notes = make()
    sampler.suggest("a")
    for before, accuracy in ((1, 0.4), (2, 0.9)):
        sampler.on_trial_result("a", report(before, accuracy, kept=True))
    # Tune tells of the result that a trial is stopped at when it is complete, and only then.
    sampler.on_trial_complete("a", report(epoch, 0.3, kept=True, note="the batch was halved to 16", batch_size=16))
    outcome = notes.ended[0]
    assert (outcome.state, outcome.value, outcome.epochs, outcome.params.batch_size) == ("pruned", 0.3, epoch, 16)
    assert outcome.reason == "the batch was halved to 16; stopped early"


def test_a_trial_that_started_again_as_it_was_asked_has_its_batch_again() -> None:
    sampler, notes = make()
    asked = sampler.suggest("a")["settings"]["batch_size"]  # type: ignore[index]
    sampler.on_trial_result("a", report(1, 0.9, kept=True, note="the batch was halved to 16", batch_size=16))
    sampler.on_trial_result("a", report(1, 0.5, kept=True))
    sampler.on_trial_complete("a", report(3, 0.6, kept=True))
    assert (notes.ended[0].value, notes.ended[0].params.batch_size) == (0.6, asked)
    assert notes.ended[0].reason is None
