"""The listener that a study is given: what it hears becomes records in the study's outbox, and nothing else happens."""

import time
from collections.abc import Callable, Mapping
from uuid import uuid4

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome, TrialOutcome
from imgcls_ray.tracking.figures import (
    data_splits,
    ending_tags,
    study_figures,
    study_tags,
    summary,
    trial_figures,
    trial_tags,
)
from imgcls_ray.tracking.known import Known
from imgcls_ray.tracking.outbox import Outbox
from imgcls_ray.tracking.record import BEST, FRONT, ID, LEADER, NOTE, REASON, SOURCE, STORAGE, STUDY, TRIAL, Record

VALUE = "value"
"""The objective of a trial whose other metrics of each epoch were lost with the process that heard them."""
SO_FAR = "best_{}_so_far"
PROGRAM = {SOURCE: "imgcls run"}
# The UI draws a figure without steps as a bar, to be compared, and one with steps as a curve.
# KILLED has the red cross of FAILED there, so a trial that was stopped early is FINISHED and its tag says the rest.
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


class Recorder(StudyListener):
    """Each call writes a line or two to a file and returns (microseconds): no trial waits for MLflow."""

    def __init__(self, storage: str, outbox: Callable[[str], Outbox]) -> None:
        """`storage` is where the study lies; `outbox` opens that of the study with this name."""
        self._storage, self._open = storage, outbox
        self._outbox: Outbox | None = None
        self._known = Known()

    def study_started(self, study: StudyInfo) -> None:
        self._info, self._outbox = study, self._open(study.name)
        self._so_far = SO_FAR.format(study.objective.metric)
        self._known = Known.of(self._outbox.records, self._so_far, study.objective.gain)
        identity = self._known.identity or {ID: uuid4().hex, STUDY: study.name, STORAGE: self._storage, **PROGRAM}
        # A parameter can't be changed once it is written: a study taken up again keeps its first settings.
        start = Record(_now(), start=identity, params=study.settings, tags=study_tags(study))
        self._add(start)
        self._add(Record(start.at, data=data_splits(study.data)))

    def trial_restored(self, outcome: TrialOutcome, values: Mapping[int, float]) -> None:
        number = outcome.number
        if number in self._known.ended:
            return
        # The process that heard of its end was killed before it could write it here.
        self.trial_started(number, outcome.params)
        for epoch, value in values.items():
            if (number, epoch) not in self._known.epochs:
                self._add(Record(_now(), number, metrics={VALUE: value}, step=epoch))
        self.trial_ended(outcome)

    def trial_started(self, number: int, params: TrialSettings) -> None:
        # One that ended before, as by Ctrl-C, and goes on loses the reason of that.
        again = {REASON: "", NOTE: ""} if number in self._known.begun else {}
        settings = {key: str(value) for key, value in params.model_dump(exclude_unset=True).items()}
        tags = trial_tags(self._info, params) | again
        self._add(Record(_now(), number, start={TRIAL: str(number), **PROGRAM}, params=settings, tags=tags))
        self._known.begun.add(number)
        self._known.ended.discard(number)

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        if not self._known.has(number, epoch, metrics):
            self._known.epochs[number, epoch] = dict(metrics)
            self._add(Record(_now(), number, metrics=dict(metrics), step=epoch))

    def trial_ended(self, outcome: TrialOutcome) -> None:
        info, known, now = self._info, self._known, _now()
        if outcome.value is not None and outcome.state != "failed":
            gain = info.objective.gain(outcome.value)
            if gain > known.best:
                known.best = gain
                self._add(Record(now, metrics={self._so_far: outcome.value}, step=len(known.begun)))
        figures, tags = trial_figures(info, outcome), ending_tags(outcome)
        self._add(Record(now, outcome.number, metrics=figures, tags=tags, status=STATUS[outcome.state]))
        known.ended.add(outcome.number)

    def study_ended(self, outcome: StudyOutcome) -> None:
        tags = {"imgcls.best_trial": str(outcome.best.number), NOTE: summary(outcome)}
        marks: dict[str, tuple[int, ...]] = {BEST: (outcome.best.number,), LEADER: (outcome.leader.number,)}
        if outcome.second:
            marks[FRONT] = tuple(trial.number for trial in outcome.front)
            tags[FRONT] = ", ".join(map(str, marks[FRONT]))
        now = _now()
        self._add(Record(now, outcome.best.number, data=data_splits(self._info.data)))
        self._add(Record(now, metrics=study_figures(outcome), tags=tags, marks=marks, status="FINISHED"))

    def broke_off(self, status: str) -> None:
        """What runs is KILLED, and the study FAILED or KILLED: it ended before its end."""
        if self._outbox is None:
            return
        for number in sorted(self._known.begun - self._known.ended):
            self._add(Record(_now(), number, status="KILLED"))
        self._add(Record(_now(), status=status))

    def _add(self, record: Record) -> None:
        if self._outbox is None:
            raise RuntimeError("a study is told that it started before anything else")
        self._outbox.add(record)


def _now() -> int:
    return int(time.time() * 1000)
