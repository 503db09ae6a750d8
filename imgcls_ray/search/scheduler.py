"""ASHA (Li et al., 2020) in the stopping variant that Tune has, with the defaults let through."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

REDUCTION = 3


def grace_period(epochs: int) -> int:
    """Epochs before a trial may be stopped: a tenth, at least 2."""
    return min(epochs, max(2, round(epochs / 10)))


class Asha(AsyncHyperBandScheduler):
    """At each rung (grace, 3 x grace, 9 x grace ... epochs) a trial goes on if it is among the best third so far.

    Trial 0, the defaults, counts at every rung but is never stopped: the result is compared with it.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__(
            time_attr="epoch",
            metric="val_accuracy",
            mode="max",
            max_t=max(epochs, grace_period(epochs)),
            grace_period=grace_period(epochs),
            reduction_factor=REDUCTION,
        )

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:  # noqa: ARG002
        """The metric is given above."""
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
        """Stop or go on."""
        decision = super().on_trial_result(tune_controller, trial, result)
        if trial.config["number"] == 0 and not result.get("done"):
            return str(TrialScheduler.CONTINUE)
        return str(decision)
