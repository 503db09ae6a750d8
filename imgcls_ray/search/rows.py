"""The trials of a study as rows, for whoever asks while it runs or afterwards."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from imgcls_ray.search.journal import noted_outcome, noted_values
from imgcls_ray.search.listener import TrialOutcome, TrialState, pareto_front
from imgcls_ray.search.space import PREFIX


@dataclass(frozen=True)
class TrialRow:
    """One trial."""

    number: int
    state: TrialState | Literal["running"]
    value: float | None
    """The objective's value in the epoch that was kept; of a running trial the best so far."""
    params: dict[str, Any]
    epochs: int
    """Epochs trained."""
    seconds: float | None
    """None while it runs."""
    second: float | None = None
    """The second objective's value; None where the study has none, and while the trial runs."""
    front: bool = False
    """Whether no other trial beats it in both objectives."""

    def to_json(self, pair: bool = False) -> dict[str, Any]:
        """One row of `imgcls trials --json`; `pair`: of a study with two objectives."""
        row = asdict(self)
        second, front = row.pop("second"), row.pop("front")
        return row | ({"values": [self.value, second], "front": front} if pair else {})


def trial_rows(study: optuna.Study) -> list[TrialRow]:
    """The trials of a study as `read_study` gives it: the best first (of equal ones that with the lower `val_loss`),
    those without a value last."""
    best = max if study.directions[0] == StudyDirection.MAXIMIZE else min
    sign = -1 if best is max else 1
    trials = study.get_trials(deepcopy=False)
    outcomes = [noted_outcome(trial) for trial in trials]
    front = {one.number for one in pareto_front(filter(None, outcomes), lambda value: -sign * value)}
    found = [
        replace(_row(trial, outcome, best), front=trial.number in front)
        for trial, outcome in zip(trials, outcomes, strict=True)
    ]
    losses = [outcome.metrics.get("val_loss", math.inf) if outcome else math.inf for outcome in outcomes]
    return sorted(found, key=lambda row: (row.value is None, sign * (row.value or 0), losses[row.number], row.number))


def _row(trial: FrozenTrial, outcome: TrialOutcome | None, best: Any) -> TrialRow:
    if outcome is not None:
        params = outcome.params.model_dump(mode="json", exclude_unset=True)
        value = outcome.value if outcome.state != "failed" else None
        return TrialRow(trial.number, outcome.state, value, params, outcome.epochs, outcome.seconds, outcome.second)
    values = noted_values(trial)
    # Of a fine-tuning trial these are the section's alone; the rest is its start's.
    params = {name.removeprefix(PREFIX): value for name, value in trial.params.items()}
    return TrialRow(trial.number, "running", best(values.values(), default=None), params, max(values, default=0), None)
