from collections.abc import Sequence

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.continuing import best_first, fitting
from imgcls_ray.search.journal import note_outcome
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.parameters import Choice, Fixed, Float
from imgcls_ray.search.proposals import Proposals
from imgcls_ray.search.space import SearchSpace

MAXIMIZE = optuna.study.StudyDirection.MAXIMIZE


def space(high: float = 0.5, epochs: int = 3, optimizers: Sequence[str] = ("adam", "sgd")) -> SearchSpace:
    return SearchSpace(
        parameters={
            "dropout": Float(type="float", low=0, high=high, default=0.125),
            "optimizer": Choice(type="choice", values=list(optimizers), default="adam"),
            "epochs": Fixed(value=epochs),
        }
    )


@pytest.fixture
def old() -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    values = ((0.125, "adam", 0.5, "complete"), (0.25, "sgd", 0.75, "complete"), (0.5, "adam", 0.25, "pruned"))
    for number, (dropout, optimizer, value, state) in enumerate((*values, (0.375, "adam", 0.0, "failed"))):
        study.enqueue_trial({"dropout": dropout, "optimizer": optimizer})
        trial = study.ask()
        settings = space().suggest(trial)
        trial.report(value, 1)
        outcome = TrialOutcome(number, state, value, settings, 3, 1.0)  # type: ignore[arg-type]
        note_outcome(trial, outcome, value)
        pruned = state == "pruned"
        study.tell(trial, None if pruned else value, state=TrialState.PRUNED if pruned else TrialState.COMPLETE)
    return study


def dropouts(trials: Sequence[FrozenTrial]) -> list[float]:
    return [trial.params["dropout"] for trial in trials]


def test_what_the_new_space_can_have_is_taken_over(old: optuna.Study) -> None:
    found = fitting(old, space())
    assert dropouts(found) == [0.125, 0.25, 0.5]
    assert [trial.state for trial in found] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED]
    assert found[2].intermediate_values == {1: 0.25}
    assert dropouts(best_first(found, MAXIMIZE)) == [0.25, 0.125]


def test_what_it_can_not_have_is_left_out(old: optuna.Study) -> None:
    assert dropouts(fitting(old, space(high=0.3))) == [0.125, 0.25]
    assert dropouts(fitting(old, space(optimizers=("adam", "adamw")))) == [0.125, 0.5]
    assert fitting(old, space(epochs=4)) == []


def test_the_best_are_tried_after_the_defaults_and_no_other_again(old: optuna.Study) -> None:
    before = fitting(old, space())
    new = optuna.create_study(direction="maximize")
    proposals = Proposals(
        new, space(), SearchSettings(), 1, before, [one.params for one in best_first(before, MAXIMIZE)]
    )
    tried: list[TrialSettings] = []
    for _ in range(4):
        proposal = proposals.next()
        assert proposal is not None
        proposals.tell(proposal[0], TrialState.COMPLETE, 0.5)
        tried.append(proposal[1])
    assert [settings.dropout for settings in tried[:2]] == [0.125, 0.25]
    assert not {settings.dropout for settings in tried[2:]} & {0.125, 0.25, 0.5}
