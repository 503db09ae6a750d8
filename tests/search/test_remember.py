from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from imgcls_ray.search.remember import Remembering

VALUES = {number: {1: 0.1 * number, 2: 0.1 * number} for number in range(1, 7)}


def asha() -> AsyncHyperBandScheduler:
    options: dict[str, Any] = {"max_t": 4, "grace_period": 2, "reduction_factor": 3}
    return AsyncHyperBandScheduler(time_attr="epoch", metric="val_accuracy", mode="max", **options)


def trial(number: int) -> Any:
    return SimpleNamespace(trial_id=str(number), config={"number": number}, status="RUNNING")


def result(epoch: int, value: float) -> dict[str, Any]:
    return {"epoch": epoch, "val_accuracy": value}


def test_the_rungs_hold_the_values_of_earlier_trials() -> None:
    scheduler = Remembering(asha(), "val_accuracy", VALUES, {})
    new = trial(7)
    scheduler.on_trial_add(None, new)
    assert scheduler.on_trial_result(None, new, result(1, 0.2)) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(None, new, result(2, 0.2)) == TrialScheduler.STOP
    good = trial(8)
    scheduler.on_trial_add(None, good)
    assert scheduler.on_trial_result(None, good, result(2, 0.9)) == TrialScheduler.CONTINUE


def test_a_trial_that_goes_on_from_a_checkpoint_is_not_judged_at_a_rung_behind_it() -> None:
    ended = {number: {1: 0.9, 2: 0.9} for number in range(6)}
    going_on = trial(7)
    remembering = Remembering(asha(), "val_accuracy", ended, {7: {1: 0.1, 2: 0.95}})
    remembering.on_trial_add(None, going_on)
    assert remembering.on_trial_result(None, going_on, result(3, 0.1)) == TrialScheduler.CONTINUE
    forgetful = Remembering(asha(), "val_accuracy", ended, {})
    forgetful.on_trial_add(None, going_on)
    assert forgetful.on_trial_result(None, going_on, result(3, 0.1)) == TrialScheduler.STOP
