"""What every sampler passes. (Two of them need a package; without it their tests are skipped.)"""

import math
from collections.abc import Callable
from itertools import count

import optuna
import pytest
from optuna.trial import TrialState

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.grid import endless, settings_of
from imgcls_ray.search.parameters import Choice, Fixed, Float, Int
from imgcls_ray.search.proposals import Proposals, key
from imgcls_ray.search.space import SearchSpace

NUMBERS = SearchSpace(
    parameters={
        "learning_rate": Float(type="float", low=1e-4, high=1e-1, log=True, default=3e-2),
        "dropout": Float(type="float", low=0, high=0.5, step=0.1, default=0.5),
        "head_width": Int(type="int", low=8, high=64, step=8, default=16),
        "epochs": Fixed(value=3),
    }
)
FINITE = SearchSpace(
    parameters={
        "head_layers": Int(type="int", low=0, high=2, default=0),
        "head_width": Choice(type="choice", values=[8, 16], default=8, when={"head_layers": [1, 2]}),
        "activation": Choice(type="choice", values=["relu", "tanh"], default="relu", when={"head_width": 16}),
        "dropout": Float(type="float", low=0, high=0.3, step=0.1, default=0.3),
    }
)
"""4 without a hidden layer; with 1 or 2, 4 of width 8 and 8 of width 16: 4 + 2 x 12."""
SAMPLERS = ["tpe", "random", "grid", "cmaes", "gp"]


def proposals(sampler: str, space: SearchSpace, seed: int = 0, direction: str = "maximize") -> Proposals:
    pytest.importorskip({"cmaes": "cmaes", "gp": "torch"}.get(sampler, "optuna"))
    study = optuna.create_study(direction=direction)
    return Proposals(study, space, SearchSettings.model_validate({"sampler": sampler, "seed": seed}), 1)


def run(asked: Proposals, trials: int, value: Callable[[TrialSettings], float] = lambda _: 0.5) -> list[TrialSettings]:
    found = []
    for _ in range(trials):
        proposal = asked.next()
        if proposal is None:
            break
        trial, settings = proposal
        asked.report(trial, value(settings), 1)
        asked.tell(trial, TrialState.COMPLETE, value(settings))
        found.append(settings)
    return found


def near(settings: TrialSettings) -> float:
    """1 at a learning rate of 0.001 and no dropout."""
    return 1 - abs(math.log10(settings.learning_rate) + 3) / 3 - settings.dropout


def spaces(sampler: str) -> SearchSpace:
    return FINITE if sampler == "grid" else NUMBERS


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_defaults_come_first_and_all_keep_to_the_space(sampler: str) -> None:
    space = spaces(sampler)
    found = run(proposals(sampler, space), 15)
    assert found[0] == TrialSettings(**space.defaults())
    assert len({key(settings) for settings in found}) == 15
    for settings in found:
        chosen = settings.model_dump(include=settings.model_fields_set)
        for name, parameter in space.parameters.items():
            assert (name in chosen) == parameter.applies(chosen)
            if name in chosen and parameter.options is not None:
                assert chosen[name] in parameter.options
        assert 1e-4 <= settings.learning_rate <= 1e-1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_decides(sampler: str) -> None:
    space = spaces(sampler)
    first = run(proposals(sampler, space, seed=1), 12)
    assert run(proposals(sampler, space, seed=1), 12) == first
    assert run(proposals(sampler, space, seed=2), 12) != first


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "gp"])
def test_what_it_is_told_steers_it(sampler: str, direction: str) -> None:
    sign = 1 if direction == "maximize" else -1
    asked = proposals(sampler, NUMBERS, direction=direction)
    values = [near(settings) for settings in run(asked, 40, lambda settings: sign * near(settings))]
    assert sum(values[-15:]) > sum(values[:15]) + 1


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_setting_of_a_finite_space_is_trained_once_and_no_other(sampler: str) -> None:
    asked = proposals(sampler, FINITE)
    found = run(asked, 100)
    assert asked.size == 28
    assert len(found) == len({key(settings) for settings in found}) == 28
    assert [trial.number for trial in asked.study.trials] == list(range(28))
    assert (asked.duplicates > 0) == (sampler != "grid")


def test_what_is_still_being_trained_is_not_proposed_again() -> None:
    asked = proposals("tpe", FINITE)
    found = [asked.next() for _ in range(28)]
    assert len({key(proposal[1]) for proposal in found if proposal}) == 28
    assert asked.next() is None


def test_settings_that_differ_in_what_takes_no_part_are_the_same() -> None:
    """Without the condition in the space, width 256 is what a head without hidden layers has by default."""
    assert key(TrialSettings(head_layers=0)) == key(TrialSettings(head_layers=0, head_width=256))


def test_an_endless_space_with_a_finite_branch_still_gives_new_settings() -> None:
    space = SearchSpace(
        parameters={
            "optimizer": Choice(type="choice", values=["adam", "sgd"], default="adam"),
            "momentum": Float(type="float", low=0.5, high=0.95, default=0.9, when={"optimizer": "sgd"}),
        }
    )
    found = run(proposals("tpe", space), 25, lambda settings: float(settings.optimizer == "adam"))
    assert len({key(settings) for settings in found}) == 25


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_process_that_takes_a_study_up_proposes_what_the_first_would_have(sampler: str) -> None:
    space = spaces(sampler)
    whole = run(proposals(sampler, space), 20, near)
    first = proposals(sampler, space)
    assert run(first, 12, near) == whole[:12]
    cut_off = first.next()
    assert cut_off is not None
    second = Proposals(first.study, space, SearchSettings.model_validate({"sampler": sampler}), 1)
    assert second.suggested == 13
    trial, settings = second.take_up(first.study.trials[12])
    assert (trial.number, settings) == (12, whole[12])
    second.report(trial, near(settings), 1)
    second.tell(trial, TrialState.COMPLETE, near(settings))
    assert run(second, 7, near) == whole[13:]


def test_the_settings_of_a_finite_space_are_counted_with_their_conditions() -> None:
    assert sum(1 for _ in settings_of(FINITE)) == 28
    assert endless(FINITE) is None
    assert endless(NUMBERS) == "learning_rate"
    widths = [settings.get("head_width") for settings in settings_of(FINITE)]
    assert (widths.count(None), widths.count(8), widths.count(16)) == (4, 8, 16)


def test_a_pruned_trial_counts_with_its_reports() -> None:
    asked = proposals("tpe", NUMBERS)
    proposal = asked.next()
    assert proposal is not None
    for epoch, value in zip(count(1), (0.4, 0.3)):
        asked.report(proposal[0], value, epoch)
    asked.tell(proposal[0], TrialState.PRUNED, None)
    for study in (asked.study, asked._draft):
        assert study.trials[0].state == TrialState.PRUNED
        assert study.trials[0].intermediate_values == {1: 0.4, 2: 0.3}
