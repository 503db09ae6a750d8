"""Optuna's study as Tune's searcher: proposes trials, hears of every epoch, knows which trials were stopped.

Ray's own `OptunaSearch` tells Optuna COMPLETE for a trial that ASHA stopped at a low rung, so TPE takes its value for a
final one. Here it is told PRUNED, with all its intermediate values.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from ray.tune.search import Searcher

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.interruption import Interruption
from imgcls_ray.search.journal import Earlier, Told, note_outcome, noted_values
from imgcls_ray.search.listener import StudyListener, TrialOutcome, TrialState
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.proposals import Proposals

INTERRUPTED = "interrupted"
"""The reason of a trial that Ctrl-C ended: the study can take it up again."""


@dataclass
class _Live:
    trial: optuna.Trial
    params: TrialSettings
    """What is trained: with half the batch where that did not fit into memory."""
    started: float = field(default_factory=time.monotonic)
    epochs: int = 0
    reported: int = 0
    """The last epoch that Optuna heard of."""
    best: dict[str, float] | None = None
    note: str | None = None
    second: float | None = None

    def __post_init__(self) -> None:
        self.asked = self.params


class OptunaSampler(Searcher):
    """Asks Optuna for settings, trial 0 being the defaults, and tells it and the listener how each trial went."""

    def __init__(
        self,
        proposals: Proposals,
        objective: Objective,
        trials: int,
        concurrency: int,
        deadline: float,
        listener: StudyListener,
        left: Earlier | None = None,
        interruption: Interruption | None = None,
        second: Callable[[TrialSettings], float] | None = None,
    ) -> None:
        """`left` is what earlier starts of the study left; trials that were cut off come first.

        `second` is the second objective, less being better.
        """
        super().__init__(metric=objective.metric, mode=objective.mode)
        self._proposals, self._objective, self._listener = proposals, objective, listener
        self._worst: float | None = None
        self._second = second
        self._second_values: list[float] = []
        """Values of the second objective so far."""
        self._trials, self._concurrency, self._deadline = trials, concurrency, deadline
        self._live: dict[str, _Live] = {}
        left = left or Earlier()
        self._cut_off = list(left.cut_off)
        self._interruption = interruption or Interruption()
        self.outcomes: list[TrialOutcome] = list(left.ended)
        self._second_values += [trial.second for trial in left.ended if trial.second is not None]
        for values in left.values.values():
            for value in values.values():
                self._note_worst(value)
        self._begun = False
        self.first_suggestion = self.last_report = time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial for Tune; None while enough trials run; FINISHED when all are given out or time is over."""
        if self.is_finished or self._interruption.requested or time.monotonic() > self._deadline:
            return Searcher.FINISHED
        if len(self._live) >= self._concurrency:
            return None
        if not self._begun:
            self.first_suggestion, self._begun = time.monotonic(), True
        if self._cut_off:
            return self._suggest_again(trial_id, self._cut_off.pop(0))
        proposal = self._proposals.next()
        if proposal is None:
            self._trials = self._proposals.suggested
            return Searcher.FINISHED
        trial, params = proposal
        return self._start(trial_id, _Live(trial, params))

    def _start(self, trial_id: str, live: _Live) -> dict[str, Any]:
        self._live[trial_id] = live
        if self._second is not None:
            live.second = self._second(live.params)
            self._second_values.append(live.second)
        self._listener.trial_started(live.trial.number, live.params)
        return {"number": live.trial.number, "settings": live.params.model_dump(mode="json")}

    @property
    def is_finished(self) -> bool:
        """Whether all trials were given out."""
        return not self._cut_off and self._proposals.suggested >= self._trials

    def _suggest_again(self, trial_id: str, cut_off: FrozenTrial) -> dict[str, Any]:
        trial, params = self._proposals.take_up(cut_off)
        return self._start(trial_id, _Live(trial, params, reported=max(noted_values(cut_off), default=0)))

    def running(self) -> list[TrialOutcome]:
        """How far the trials have come that Ctrl-C left no time for; the journal has them as running."""
        return [self._outcome(live, "pruned", INTERRUPTED) for live in self._live.values()]

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """An epoch ended."""
        live = self._live[trial_id]
        if "reason" in result:
            return  # it failed: there are no figures of this epoch
        metrics = {name: float(result[name]) for name in METRICS if name in result}
        self.last_report = time.monotonic()
        live.epochs = int(result["epoch"])
        if result.get("note") != live.note:
            # It started again, with half the batch or after that as it was asked: what came before counts no more.
            live.note, live.best = result.get("note"), None
            batch = int(result.get("batch_size", live.asked.batch_size))
            live.params = live.params.model_copy(update={"batch_size": batch})
        value = metrics[self._objective.metric]
        if math.isfinite(value):
            self._note_worst(value)
            if live.epochs > live.reported:
                self._proposals.report(live.trial, value, live.epochs)
                live.reported = live.epochs
            if result.get("kept"):
                live.best = metrics
        if "best" in result:
            # It goes on from a checkpoint; the epoch that it kept may lie before it.
            live.best = result["best"] or None
            live.started = time.monotonic() - float(result["seconds_before"])
        self._listener.epoch_ended(live.trial.number, live.epochs, metrics)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ran to its end, was stopped or failed."""
        live = self._live.pop(trial_id)
        # Tune tells only here of the result that a trial is stopped at. One that started again may be less far with it.
        if result and "epoch" in result and (result["epoch"], result.get("note")) != (live.epochs, live.note):
            self._live[trial_id] = live
            self.on_trial_result(trial_id, result)
            del self._live[trial_id]
        self.last_report = time.monotonic()
        reason = (result or {}).get("reason") or ("an error in its process" if error else None)
        state: TrialState = "complete"
        if error or reason or live.best is None:
            state = "failed"
        elif result and "ended" in result:
            reason = str(result["ended"])  # by its own settings: it is as complete as can be
        elif live.epochs < live.params.epochs:
            state, reason = "pruned", "stopped early" if time.monotonic() < self._deadline else "out of time"
        if live.note and state != "failed":
            reason = "; ".join(filter(None, (live.note, reason)))
        interrupted = state == "pruned" and self._interruption.requested
        outcome = self._outcome(live, state, INTERRUPTED if interrupted else reason)
        if not interrupted:
            # Else the journal keeps it as running: it goes on when the study is taken up.
            self._tell(live, outcome)
        self.outcomes.append(outcome)
        self._listener.trial_ended(outcome)

    def _outcome(self, live: _Live, state: TrialState, reason: str | None) -> TrialOutcome:
        return TrialOutcome(
            number=live.trial.number,
            state=state,
            value=live.best[self._objective.metric] if live.best else None,
            params=live.params,
            epochs=live.epochs,
            seconds=time.monotonic() - live.started,
            metrics=live.best or {},
            reason=reason,
            second=live.second,
        )

    def _tell(self, live: _Live, outcome: TrialOutcome) -> None:
        value, second = outcome.value, outcome.second
        if outcome.state == "failed":
            # COMPLETE with the worst scores, not FAIL: the sampler is to keep away from these settings.
            value, second = self._objective.worst(self._worst), max(self._second_values, default=None)
        told: Told = value if second is None or value is None else [value, second]
        if outcome.state == "pruned":
            told = None
        note_outcome(live.trial, outcome, told)
        ended = OptunaState.PRUNED if outcome.state == "pruned" else OptunaState.COMPLETE
        self._proposals.tell(live.trial, ended, told)

    def _note_worst(self, value: float) -> None:
        gain = self._objective.gain
        if self._worst is None or gain(value) < gain(self._worst):
            self._worst = value

    def save(self, checkpoint_path: str) -> None:
        """Write which Tune trial is which Optuna trial; all else is in the study's journal."""
        numbers = {trial_id: live.trial.number for trial_id, live in self._live.items()}
        Path(checkpoint_path).write_text(json.dumps(numbers), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do: a study is taken up from its journal."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher beside its own state; the study and the listener hold files and threads.
        open_ones = ("_proposals", "_listener", "_live", "_second")
        return {name: value for name, value in self.__dict__.items() if name not in open_ones}


METRICS = (
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "val_f1_macro",
    "val_balanced_accuracy",
    "learning_rate",
    "seconds",
)
