from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from imgcls_ray.config import SearchSettings
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.scheduler import Asha, Median, Unstopped, build_scheduler, describe_scheduler


def settings(scheduler: str, objective: str = "val_accuracy") -> SearchSettings:
    return SearchSettings.model_validate({"scheduler": scheduler, "objective": objective})


def trial(number: int) -> Trial:
    return Trial("stub", config={"number": number}, stub=True)


def decide(scheduler: Any, number: int, values: list[float], metric: str = "val_accuracy") -> list[str]:
    """What becomes of a trial after each of its epochs."""
    made = trial(number)
    scheduler.on_trial_add(None, made)
    return [
        scheduler.on_trial_result(None, made, {"epoch": epoch, metric: value}) for epoch, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(("name", "kind"), [("asha", Asha), ("median", Median), ("none", Unstopped)])
def test_a_scheduler_by_its_name(name: str, kind: type) -> None:
    scheduler = build_scheduler(settings(name), 20)
    assert isinstance(scheduler, kind)
    assert scheduler.set_search_properties("val_accuracy", "max")
    assert "at most 600 epochs" in describe_scheduler(settings(name), 20, 30)


@pytest.mark.parametrize(
    ("metric", "values"),
    [("val_accuracy", (0.9, 0.8, 0.7, 0.6, 0.1)), ("val_loss", (0.1, 0.2, 0.3, 0.4, 2.5))],
)
@pytest.mark.parametrize("name", ["asha", "median"])
def test_the_worse_trials_are_stopped_but_never_the_defaults(name: str, metric: str, values: tuple[float, ...]) -> None:
    scheduler = build_scheduler(settings(name, metric), 14)
    decisions = {
        number: decide(scheduler, number, [value, value], metric)
        for number, value in zip((1, 2, 3, 4, 0), values, strict=True)
    }
    go_on = TrialScheduler.CONTINUE
    assert decisions[1] == [go_on, go_on]
    assert decisions[4] == [go_on, TrialScheduler.STOP]
    assert decisions[0] == [go_on, go_on]


@pytest.mark.parametrize(("metric", "good", "bad"), [("val_accuracy", 0.9, 0.2), ("val_loss", 0.2, 0.9)])
def test_asha_goes_by_the_best_value_so_far(metric: str, good: float, bad: float) -> None:
    for again, decision in ((False, TrialScheduler.CONTINUE), (True, TrialScheduler.STOP)):
        scheduler = Asha(14, Objective(metric))
        for number in (1, 2, 3):
            decide(scheduler, number, [0.5, 0.5], metric)
        made = trial(4)
        scheduler.on_trial_add(None, made)
        scheduler.on_trial_result(None, made, {"epoch": 1, metric: good})
        if again:  # with half the batch: what it had before is no longer its own
            scheduler.on_trial_result(None, made, {"epoch": 1, metric: bad})
        assert scheduler.on_trial_result(None, made, {"epoch": 2, metric: bad}) == decision


def test_without_stopping_every_trial_goes_on() -> None:
    scheduler = Unstopped()
    for number, value in enumerate((0.9, 0.9, 0.9, 0.9, 0.0), 1):
        assert decide(scheduler, number, [value] * 4) == [TrialScheduler.CONTINUE] * 4


def test_the_median_rule_compares_the_best_value_with_the_others_mean_up_to_the_same_epoch() -> None:
    scheduler = Median(14, Objective())
    for number in (1, 2, 3):
        decide(scheduler, number, [0.2, 0.4, 0.9])  # mean 0.3 after two epochs, 0.5 after three
    assert decide(scheduler, 4, [0.1, 0.31]) == [TrialScheduler.CONTINUE] * 2
    assert decide(scheduler, 5, [0.1, 0.29])[-1] == TrialScheduler.STOP
    assert decide(scheduler, 6, [0.35, 0.1])[-1] == TrialScheduler.CONTINUE


def test_a_median_of_two_others_stops_nothing() -> None:
    scheduler = Median(14, Objective())
    for number in (1, 2):
        decide(scheduler, number, [0.9, 0.9])
    assert decide(scheduler, 3, [0.1, 0.1])[-1] == TrialScheduler.CONTINUE


@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_trial_that_failed_has_no_say(name: str) -> None:
    scheduler = build_scheduler(settings(name, "val_loss"), 14)
    failed = {"epoch": 2, "val_loss": 10.0, "done": True, "reason": "the loss is no longer a number"}
    for number in range(1, 6):
        made = trial(number)
        scheduler.on_trial_add(None, made)
        scheduler.on_trial_complete(None, made, failed)
    for number in range(6, 9):
        decide(scheduler, number, [0.5, 0.5], "val_loss")
    assert decide(scheduler, 9, [1.0, 1.0], "val_loss")[-1] == TrialScheduler.STOP


@pytest.mark.parametrize("scheduler", [Asha(20), Median(20, Objective()), Unstopped()])
def test_a_free_actor_is_not_given_the_trial_that_has_one_on_its_way(scheduler: Any) -> None:
    """Tune would throw that actor away, and with short trials never have two."""
    trials = [trial(number) for number in range(3)]
    trials[0].set_status(Trial.RUNNING)
    controller = SimpleNamespace(get_trials=lambda: trials, _staged_trials={trials[1]})
    assert scheduler.choose_trial_to_run(controller) is trials[2]
    controller._staged_trials.add(trials[2])
    assert scheduler.choose_trial_to_run(controller) is None
