from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from imgcls_ray.search.scheduler import Asha, grace_period


@pytest.mark.parametrize(("epochs", "grace"), [(1, 1), (2, 2), (10, 2), (15, 2), (30, 3), (100, 10)])
def test_the_grace_period_is_a_tenth_and_at_least_two(epochs: int, grace: int) -> None:
    assert grace_period(epochs) == grace


def test_the_worse_trials_of_a_rung_are_stopped_but_never_the_defaults() -> None:
    scheduler = Asha(epochs=20)
    decisions = {}
    for number, accuracy in ((1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6), (0, 0.1)):
        trial = Trial("stub", config={"number": number}, stub=True)
        scheduler.on_trial_add(None, trial)
        decisions[number] = scheduler.on_trial_result(None, trial, {"epoch": 2, "val_accuracy": accuracy})
    assert decisions[1] == TrialScheduler.CONTINUE
    assert decisions[4] == TrialScheduler.STOP
    assert decisions[0] == TrialScheduler.CONTINUE


def test_a_free_actor_is_not_given_the_trial_that_has_one_on_its_way() -> None:
    """Tune would throw that actor away, and with short trials never have two."""
    trials = [Trial("stub", config={"number": number}, stub=True) for number in range(3)]
    trials[0].set_status(Trial.RUNNING)
    controller = SimpleNamespace(get_trials=lambda: trials, _staged_trials={trials[1]})
    assert Asha(epochs=20).choose_trial_to_run(controller) is trials[2]
    controller._staged_trials.add(trials[2])
    assert Asha(epochs=20).choose_trial_to_run(controller) is None
