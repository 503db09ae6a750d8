"""Optuna's TPE as Tune's searcher: proposes trials, hears of every epoch, knows which trials were stopped.

Ray's own `OptunaSearch` tells Optuna COMPLETE for a trial that ASHA stopped at a low rung, so TPE takes its value for a
final one. Here it is told PRUNED, with all its intermediate values.
"""

import json
import math
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from ray.tune.search import Searcher

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyListener, TrialOutcome, TrialState
from imgcls_ray.search.space import SearchSpace

WORST = 0.0
"""Validation accuracy that a diverged or failed trial is scored with."""


def build_sampler(seed: int, concurrency: int) -> optuna.samplers.BaseSampler:
    """TPE (Bergstra et al., 2011) that takes parameters together and running trials as bad ones.

    The random start grows with the concurrency: else most of it would still run when the model of TPE is first asked.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            group=True,
            constant_liar=True,
            n_startup_trials=max(8, 2 * concurrency),
        )


@dataclass
class _Live:
    trial: optuna.Trial
    params: TrialSettings
    started: float = field(default_factory=time.monotonic)
    epochs: int = 0
    best: dict[str, float] | None = None


class OptunaSampler(Searcher):
    """Asks Optuna for settings, trial 0 being the defaults, and tells it and the listener how each trial went."""

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        trials: int,
        concurrency: int,
        deadline: float,
        listener: StudyListener,
    ) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._study, self._space, self._listener = study, space, listener
        self._trials, self._concurrency, self._deadline = trials, concurrency, deadline
        self._live: dict[str, _Live] = {}
        self.outcomes: list[TrialOutcome] = []
        self.suggested = 0
        self.first_suggestion = self.last_report = time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial for Tune; None while enough trials run; FINISHED when all are given out or time is over."""
        if self.suggested >= self._trials or time.monotonic() > self._deadline:
            return Searcher.FINISHED
        if len(self._live) >= self._concurrency:
            return None
        if self.suggested == 0:
            self.first_suggestion = time.monotonic()
            self._study.enqueue_trial(self._space.defaults())
        trial = self._study.ask()
        params = self._space.suggest(trial)
        self._live[trial_id] = _Live(trial, params)
        self.suggested += 1
        self._listener.trial_started(trial.number, params)
        return {"number": trial.number, "settings": params.model_dump(mode="json")}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """An epoch ended."""
        live = self._live[trial_id]
        if "reason" in result:
            return  # it failed: there are no figures of this epoch
        metrics = {name: float(result[name]) for name in METRICS if name in result}
        self.last_report = time.monotonic()
        live.epochs = int(result["epoch"])
        value = metrics["val_accuracy"]
        if math.isfinite(value):
            live.trial.report(value, live.epochs)
            if result.get("kept"):
                live.best = metrics
        self._listener.epoch_ended(live.trial.number, live.epochs, metrics)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ran to its end, was stopped or failed."""
        live = self._live.pop(trial_id)
        if result and int(result.get("epoch", 0)) > live.epochs:
            self._live[trial_id] = live
            self.on_trial_result(trial_id, result)
            del self._live[trial_id]
        self.last_report = time.monotonic()
        reason = (result or {}).get("reason") or ("an error in its process" if error else None)
        state: TrialState = "complete"
        if error or reason or live.best is None:
            state = "failed"
        elif live.epochs < live.params.epochs:
            state, reason = "pruned", "stopped early" if time.monotonic() < self._deadline else "out of time"
        self._tell(live, state)
        outcome = TrialOutcome(
            number=live.trial.number,
            state=state,
            value=live.best["val_accuracy"] if live.best else None,
            params=live.params,
            epochs=live.epochs,
            seconds=time.monotonic() - live.started,
            metrics=live.best or {},
            reason=reason,
        )
        self.outcomes.append(outcome)
        self._listener.trial_ended(outcome)

    def _tell(self, live: _Live, state: TrialState) -> None:
        states = {"complete": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED}
        if state == "failed":
            # COMPLETE with the worst score, not FAIL: the sampler is to keep away from these settings.
            self._study.tell(live.trial, WORST)
        else:
            value = live.best["val_accuracy"] if live.best and state == "complete" else None
            self._study.tell(live.trial, value, state=states[state])

    def save(self, checkpoint_path: str) -> None:
        """Write which Tune trial is which Optuna trial; all else is in the study's journal."""
        numbers = {trial_id: live.trial.number for trial_id, live in self._live.items()}
        Path(checkpoint_path).write_text(json.dumps(numbers), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do: a study is taken up from its journal."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher beside its own state; the study and the listener hold files and threads.
        return {name: value for name, value in self.__dict__.items() if name not in ("_study", "_listener", "_live")}


METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
