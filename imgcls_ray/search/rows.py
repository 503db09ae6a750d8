"""The trials of a study as rows, for whoever asks while it runs or afterwards."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from imgcls_ray.search.journal import noted_outcome, noted_values, read_study
from imgcls_ray.search.listener import TrialState, pareto_front


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


def list_trials(folder: Path, name: str) -> list[TrialRow]:
    """The trials of the study in `folder`: the best first, those without a value last. Nothing is written.

    Raises:
        StorageError: there is no such study.
    """
    study = read_study(folder, name)
    best = max if study.directions[0] == StudyDirection.MAXIMIZE else min
    sign = -1 if best is max else 1
    trials = study.get_trials(deepcopy=False)
    ended = [outcome for outcome in map(noted_outcome, trials) if outcome is not None]
    front = {outcome.number for outcome in pareto_front(ended, lambda value: -sign * value)}
    rows = [replace(_row(trial, best), front=trial.number in front) for trial in trials]
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0), row.number))


def _row(trial: FrozenTrial, best: Any) -> TrialRow:
    outcome = noted_outcome(trial)
    if outcome is not None:
        params = outcome.params.model_dump(mode="json", exclude_unset=True)
        value = outcome.value if outcome.state != "failed" else None
        return TrialRow(trial.number, outcome.state, value, params, outcome.epochs, outcome.seconds, outcome.second)
    values = noted_values(trial)
    return TrialRow(
        trial.number, "running", best(values.values(), default=None), trial.params, max(values, default=0), None
    )
