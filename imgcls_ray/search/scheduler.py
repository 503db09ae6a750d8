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

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or go on."""
        decision = super().on_trial_result(tune_controller, trial, result)
        if trial.config["number"] == 0 and not result.get("done"):
            return str(TrialScheduler.CONTINUE)
        return str(decision)
