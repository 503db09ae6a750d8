"""Who stops trials before their end: ASHA, the median rule or nobody."""

import statistics
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from imgcls_ray.config import SearchSettings
from imgcls_ray.search.objective import ACCURACY, Objective
from imgcls_ray.search.rungs import REDUCTION, describe, grace_period

LEAST = 3
"""Other trials that must have come as far before the median stops one."""


def build_scheduler(settings: SearchSettings, epochs: int) -> TrialScheduler:
    """The scheduler that the settings name, for trials of at most so many epochs."""
    objective = Objective(settings.objective)
    match settings.scheduler:
        case "asha":
            return Asha(epochs, objective)
        case "median":
            return Median(epochs, objective)
        case "none":
            return Unstopped()


def describe_scheduler(settings: SearchSettings, epochs: int, trials: int) -> str:
    """In a line what it will do, and the epochs that the study takes at worst."""
    worst = f"at most {trials * epochs} epochs"
    match settings.scheduler:
        case "asha":
            return describe(epochs, trials)
        case "median":
            return f"from epoch {grace_period(epochs)} on a trial below the median of the others is stopped: {worst}"
        case "none":
            return f"no trial is stopped: {worst}"


class _Ours(FIFOScheduler):
    """What our schedulers share: the choice of the next trial, and the defaults' safety."""

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:  # noqa: ARG002
        """The metric is given when a scheduler is made."""
        return True

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first pending trial that no actor is being started for.

        Tune's own choice is the first pending trial: an actor that comes free takes it, and Tune throws away the actor
        that is on its way for it. With trials shorter than the start of an actor, which loads TensorFlow, a second
        one would never come up. This needs more than one pending trial, which `run_study` asks Tune for.
        """
        staged = tune_controller._staged_trials
        trials = tune_controller.get_trials()
        return next((trial for trial in trials if trial.status == Trial.PENDING and trial not in staged), None)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or go on. Trial 0, the defaults, counts but is never stopped: the result is compared with it."""
        decision = super().on_trial_result(tune_controller, trial, result)
        return str(TrialScheduler.CONTINUE if trial.config["number"] == 0 else decision)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Count the last value; that of a trial that failed is none."""
        if "reason" not in result:
            super().on_trial_complete(tune_controller, trial, result)


class Unstopped(_Ours):
    """Every trial runs to its end."""


class Asha(_Ours, AsyncHyperBandScheduler):
    """ASHA (Li et al., 2020) in the stopping variant that Tune has.

    At each rung (grace, 2 x grace, 4 x grace ... epochs) a trial goes on if it is among the better half so far, by its
    best value up to there: an epoch's own goes up and down by more than trials differ.
    """

    def __init__(self, epochs: int, objective: Objective = ACCURACY) -> None:
        super().__init__(
            time_attr="epoch",
            metric=objective.metric,
            mode=objective.mode,
            max_t=max(epochs, grace_period(epochs)),
            grace_period=grace_period(epochs),
            reduction_factor=REDUCTION,
        )
        self._objective = objective
        self._bests: dict[str, float] = {}
        """Of each trial."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or go on, by the best value so far."""
        return super().on_trial_result(tune_controller, trial, self._with_best(trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Count the best value; that of a trial that failed is none."""
        super().on_trial_complete(
            tune_controller, trial, result if "reason" in result else self._with_best(trial, result)
        )

    def _with_best(self, trial: Trial, result: dict[str, Any]) -> dict[str, Any]:
        name, value = self._objective.metric, float(result[self._objective.metric])
        if int(result["epoch"]) > 1:  # one that starts again, with half the batch, has no best yet
            value = max(value, self._bests.get(trial.trial_id, value), key=self._objective.gain)
        self._bests[trial.trial_id] = value
        return {**result, name: value}


class _MedianRule(FIFOScheduler):
    """The rule alone. (Tune's own pauses trials while too few have come as far, which takes warm actors apart.)"""

    def __init__(self, epochs: int, objective: Objective) -> None:
        super().__init__()
        self._grace, self._objective = grace_period(epochs), objective
        self._gains: dict[str, list[float]] = {}
        """Of each trial by its epochs, more being better."""

    @property
    def metric(self) -> str:
        """What Tune must find in each result."""
        return self._objective.metric

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        self._count(trial, result)
        mine = self._gains[trial.trial_id]
        if len(mine) < self._grace:
            return str(TrialScheduler.CONTINUE)
        others = [gains[: len(mine)] for name, gains in self._gains.items() if name != trial.trial_id]
        means = [statistics.fmean(gains) for gains in others if len(gains) == len(mine)]
        if len(means) < LEAST or max(mine) >= statistics.median(means):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:  # noqa: ARG002
        self._count(trial, result)

    def _count(self, trial: Trial, result: dict[str, Any]) -> None:
        gains = self._gains.setdefault(trial.trial_id, [])
        # A trial that starts again, with half the batch, takes the place of what it was.
        del gains[int(result["epoch"]) - 1 :]
        gains.append(self._objective.gain(float(result[self._objective.metric])))


class Median(_Ours, _MedianRule):
    """The median rule (Golovin et al., Google Vizier, 2017, section 3.2.2).

    After the grace period a trial is stopped when its best value is below the median of the others' mean values up to
    the same epoch, at least three of which came as far.
    """
