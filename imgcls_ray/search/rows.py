"""The trials of a study as rows, for whoever asks while it runs or afterwards."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from imgcls_ray.search.journal import noted_outcome, read_study
from imgcls_ray.search.listener import TrialState
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

    def to_json(self) -> dict[str, Any]:
        """One row of `imgcls trials --json`."""
        return asdict(self)


def list_trials(folder: Path, name: str) -> list[TrialRow]:
    """The trials of the study in `folder`: the best first, those without a value last. Nothing is written.

    Raises:
        StorageError: there is no such study.
    """
    study = read_study(folder, name)
    best = max if study.direction == StudyDirection.MAXIMIZE else min
    sign = -1 if best is max else 1
    rows = [_row(trial, best) for trial in study.get_trials(deepcopy=False)]
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0), row.number))


def _row(trial: FrozenTrial, best: Any) -> TrialRow:
    outcome = noted_outcome(trial)
    if outcome is not None:
        params = outcome.params.model_dump(mode="json", exclude_unset=True)
        value = outcome.value if outcome.state != "failed" else None
        return TrialRow(trial.number, outcome.state, value, params, outcome.epochs, outcome.seconds)
    values = trial.intermediate_values
    # Of a fine-tuning trial these are the section's alone; the rest is its start's.
    params = {name.removeprefix(PREFIX): value for name, value in trial.params.items()}
    return TrialRow(trial.number, "running", best(values.values(), default=None), params, max(values, default=0), None)
