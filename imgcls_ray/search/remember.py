"""A scheduler that knows the trials of a study's earlier starts."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

Values = Mapping[int, Mapping[int, float]]
"""By trial number: the value after each epoch."""


class Remembering(TrialScheduler):
    """Hands everything on to another scheduler, to which the earlier trials are told first, epoch by epoch.

    Its rungs then hold what they would hold if the study had not been ended. A cut-off trial that goes on from a
    checkpoint has its earlier values told when it is added; one that starts again reports them itself.
    """

    def __init__(self, scheduler: TrialScheduler, metric: str, ended: Values, going_on: Values) -> None:
        super().__init__()
        self._scheduler, self._metric, self._going_on = scheduler, metric, going_on
        for number, values in ended.items():
            if not values:
                continue
            trial: Any = SimpleNamespace(trial_id=f"earlier-{number}", config={"number": number}, status="TERMINATED")
            scheduler.on_trial_add(None, trial)
            self._tell(None, trial, values)
            last = max(values)
            scheduler.on_trial_complete(None, trial, {"epoch": last, metric: values[last], "done": True})

    def _tell(self, controller: Any, trial: Trial, values: Mapping[int, float]) -> None:
        for epoch in sorted(values):
            self._scheduler.on_trial_result(controller, trial, {"epoch": epoch, self._metric: values[epoch]})

    @property
    def metric(self) -> str | None:
        return self._scheduler.metric

    @property
    def supports_buffered_results(self) -> bool:
        return bool(self._scheduler.supports_buffered_results)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return bool(self._scheduler.set_search_properties(metric, mode, **spec))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._scheduler.on_trial_add(tune_controller, trial)
        self._tell(tune_controller, trial, self._going_on.get(trial.config["number"], {}))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._scheduler.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return str(self._scheduler.on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._scheduler.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._scheduler.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        return self._scheduler.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return str(self._scheduler.debug_string())
