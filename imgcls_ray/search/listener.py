"""What a study tells while it runs. Tracking and the progress display listen; the search knows neither."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.objective import ACCURACY, Objective, Second

TrialState = Literal["complete", "pruned", "failed"]
TRIAL_FORMS = "a trial is named STUDY/NUMBER, as 'imgcls trials STUDY' lists it, or by the id of its run in MLflow"


@dataclass(frozen=True)
class StudyInfo:
    """A study that starts or is taken up again."""

    name: str
    trials: int
    """Trials asked for, trial 0 (the defaults) included."""
    settings: dict[str, str]
    """What the user asked for, flattened to text, for the record."""
    data: dict[str, str]
    """Name, fingerprint and counts of the data set."""
    objective: Objective = ACCURACY
    repeats: str | None = None
    """`STUDY/NUMBER` of the trial that is trained again, where that is all it does."""
    second: Second | None = None
    staged: bool = False
    """Whether trials of a second stage start from the best of the first."""
    conditions: dict[str, str] = field(default_factory=dict)
    """What else its results may depend on, for the record: seed, resources, versions (as `version.NAME`)."""


@dataclass(frozen=True)
class TrialOutcome:
    """A trial that ended."""

    number: int
    state: TrialState
    value: float | None
    """The objective's value in the epoch that was kept; None where it reported none."""
    params: TrialSettings
    epochs: int
    """Epochs trained."""
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    """The metrics of that epoch."""
    reason: str | None = None
    """Why it failed or was stopped, in a sentence."""
    second: float | None = None
    """The value of the second objective; None where the study has none."""


@dataclass(frozen=True)
class StudyOutcome:
    """A study that ended."""

    name: str
    trials: tuple[TrialOutcome, ...]
    best: TrialOutcome
    """The one to use: see `search.choice`."""
    defaults: TrialOutcome | None
    """Trial 0; None where the time budget ended before it did, and of a study that trains a trial again."""
    seconds: float
    """From the first suggestion to the last report."""
    noise: float = 0.0
    """One standard error of the defaults' value; 0 where the objective has none that is known."""
    objective: Objective = ACCURACY
    interrupted: bool = False
    """Whether Ctrl-C ended it before its end; it can be taken up again."""
    second: Second | None = None
    """What was made smaller beside the objective."""

    @property
    def front(self) -> tuple[TrialOutcome, ...]:
        """The trials that no other beats in both objectives, the smallest first; none with one objective."""
        return pareto_front(self.trials, self.objective.gain)

    @property
    def leader(self) -> TrialOutcome:
        """The trial with the best value, be it by chance or not."""
        leaders = [leader for leader in (self.probed, self.tuned) if leader]
        return max(leaders, key=lambda trial: rank(trial, self.objective))

    @property
    def probed(self) -> TrialOutcome | None:
        """The leader of the trials that start from no other trial: of the first stage, or of the only one."""
        return self._leader([trial for trial in self.trials if trial.params.from_trial is None])

    @property
    def tuned(self) -> TrialOutcome | None:
        """The leader of the second stage; None where there was none."""
        return self._leader([trial for trial in self.trials if trial.params.from_trial is not None])

    def _leader(self, trials: Sequence[TrialOutcome]) -> TrialOutcome | None:
        scored = (trial for trial in trials if trial.state != "failed" and trial.metrics)
        return max(scored, key=lambda trial: rank(trial, self.objective), default=None)


def rank(trial: TrialOutcome, objective: Objective = ACCURACY) -> tuple[float, float, int]:
    """Order of trials that reported: by the objective, of equal ones by loss, of equals the earlier."""
    return objective.gain(trial.metrics[objective.metric]), -trial.metrics["val_loss"], -trial.number


def pareto_front(trials: Iterable[TrialOutcome], gain: Callable[[float], float]) -> tuple[TrialOutcome, ...]:
    """The trials than which no other is at least as good in both objectives and better in one, the smallest first.

    `gain` turns the first objective's value such that more is better. Stopped trials take part with the value of the
    epoch that was kept, failed ones do not. Of trials alike in both it is the one with the lowest loss, then the
    earliest.
    """
    scored = [
        (trial.second, -gain(trial.value), trial.metrics["val_loss"], trial.number, trial)
        for trial in trials
        if trial.state != "failed" and trial.value is not None and trial.second is not None
    ]
    front: list[TrialOutcome] = []
    lowest = math.inf
    for _, cost, _, _, trial in sorted(scored, key=lambda row: row[:4]):
        if cost < lowest:
            front.append(trial)
            lowest = cost
    return tuple(front)


class StudyListener:
    """Override what you need; each call comes from the driver's one thread and must return at once."""

    def study_started(self, study: StudyInfo) -> None:
        """Called once, before the first trial."""

    def study_told(self, sentence: str) -> None:
        """Something about the study that is worth a line: when trials are stopped, what was not run twice."""

    def trial_restored(self, outcome: TrialOutcome, values: Mapping[int, float]) -> None:
        """Called for each trial that had ended when a study is taken up, with its value after each epoch (from 1)."""

    def trial_started(self, number: int, params: TrialSettings) -> None:
        """Called when a trial has its settings."""

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        """Called after each epoch (1 is the first).

        `metrics` has `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate` and `seconds`.
        """

    def trial_ended(self, outcome: TrialOutcome) -> None:
        """Called once for each trial that was started."""

    def study_ended(self, outcome: StudyOutcome) -> None:
        """Called once, after the last trial."""


class Listeners(StudyListener):
    """Tells each of several listeners, in their order."""

    def __init__(self, listeners: Sequence[StudyListener]) -> None:
        self._listeners = tuple(listeners)

    def study_started(self, study: StudyInfo) -> None:
        for listener in self._listeners:
            listener.study_started(study)

    def study_told(self, sentence: str) -> None:
        for listener in self._listeners:
            listener.study_told(sentence)

    def trial_restored(self, outcome: TrialOutcome, values: Mapping[int, float]) -> None:
        for listener in self._listeners:
            listener.trial_restored(outcome, values)

    def trial_started(self, number: int, params: TrialSettings) -> None:
        for listener in self._listeners:
            listener.trial_started(number, params)

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        for listener in self._listeners:
            listener.epoch_ended(number, epoch, metrics)

    def trial_ended(self, outcome: TrialOutcome) -> None:
        for listener in self._listeners:
            listener.trial_ended(outcome)

    def study_ended(self, outcome: StudyOutcome) -> None:
        for listener in self._listeners:
            listener.study_ended(outcome)
