"""The listener that a study is given: what it hears becomes records in the study's outbox, and nothing else happens."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome, TrialOutcome
from imgcls_ray.tracking.outbox import Outbox
from imgcls_ray.tracking.record import (
    BEST,
    FRONT,
    LEADER,
    NOTE,
    REASON,
    REPEATS,
    SOURCE,
    STATE,
    STORAGE,
    STUDY,
    TRIAL,
    DataSplit,
    Record,
)

VALUE = "value"
"""The objective of a trial whose other metrics of each epoch were lost with the process that heard them."""
SO_FAR = "best_{}_so_far"
# The UI draws a figure without steps as a bar, to be compared, and one with steps as a curve.
# KILLED has the red cross of FAILED there, so a trial that was stopped early is FINISHED and its tag says the rest.
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}
DATA_TAGS = ("name", "fingerprint", "test_fingerprint")
"""What each trial's run tells of the data."""
SAME = 1e-4
"""An epoch that is trained again from a checkpoint has the values it had but for the order of sums."""


@dataclass
class _Known:
    """What earlier starts of the study have put into its outbox."""

    begun: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    epochs: dict[tuple[int, int], Mapping[str, float]] = field(default_factory=dict)
    best: float = -math.inf
    identity: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record], so_far: str, gain: Callable[[float], float]) -> "_Known":
        known = cls()
        for record in records:
            if record.trial is None:
                known.identity = known.identity or record.start or {}
                if so_far in record.metrics:
                    known.best = max(known.best, gain(record.metrics[so_far]))
            elif record.start is not None:
                known.begun.add(record.trial)
                known.ended.discard(record.trial)
            elif record.is_metrics and record.step:
                known.epochs[record.trial, record.step] = record.metrics
            elif STATE in record.tags:
                known.ended.add(record.trial)
        return known


class Recorder(StudyListener):
    """Each call writes a line or two to a file and returns (microseconds): no trial waits for MLflow."""

    def __init__(self, storage: str, outbox: Callable[[str], Outbox]) -> None:
        """`outbox` opens that of the study with this name; studies of one name in two storages stay apart."""
        self._storage, self._open = storage, outbox
        self._outbox: Outbox | None = None
        self._known = _Known()

    def study_started(self, study: StudyInfo) -> None:
        self._info, self._outbox = study, self._open(study.name)
        self._so_far = SO_FAR.format(study.objective.metric)
        self._known = _Known.of(self._outbox.records, self._so_far, study.objective.gain)
        identity = self._known.identity or {STUDY: study.name, STORAGE: self._storage, SOURCE: "imgcls run"}
        tags = {f"imgcls.data.{key}": value for key, value in study.data.items()}
        tags |= {f"imgcls.{key}": value for key, value in study.conditions.items()}
        tags |= {REPEATS: study.repeats} if study.repeats else {}
        tags[NOTE] = f"Study **{study.name}** is running: {study.trials} trials are asked for."
        # A parameter can't be changed once it is written: a study taken up again keeps its first settings.
        self._add(Record(_now(), None, start=identity, params=study.settings, tags=tags, data=_splits(study.data)))

    def trial_restored(self, outcome: TrialOutcome, values: Mapping[int, float]) -> None:
        if outcome.number in self._known.ended:
            return
        # The process that heard of its end was killed before it could write it here.
        self.trial_started(outcome.number, outcome.params)
        for epoch, value in values.items():
            if (outcome.number, epoch) not in self._known.epochs:
                self._add(Record(_now(), outcome.number, metrics={VALUE: value}, step=epoch))
        self.trial_ended(outcome)

    def trial_started(self, number: int, params: TrialSettings) -> None:
        study = self._info
        stage = ("finetune" if params.from_trial is not None else "probe") if study.staged else "search"
        tags = {TRIAL: str(number), SOURCE: "imgcls run", STUDY: study.name}
        about = {"imgcls.backbone": params.backbone, "imgcls.stage": stage, STATE: "running"}
        about |= {f"imgcls.{key}": value for key, value in study.conditions.items() if not key.startswith("version.")}
        about |= {f"imgcls.data.{key}": study.data[key] for key in DATA_TAGS if key in study.data}
        if number in self._known.begun:
            about |= {REASON: "", NOTE: ""}  # why it ended the last time
        settings = {key: str(value) for key, value in params.model_dump(exclude_unset=True).items()}
        self._add(Record(_now(), number, start=tags, params=settings, tags=about))
        self._known.begun.add(number)

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        before = self._known.epochs.get((number, epoch))
        if before is None or not _same(before, metrics):
            self._add(Record(_now(), number, metrics=dict(metrics), step=epoch))

    def trial_ended(self, outcome: TrialOutcome) -> None:
        objective, second, number = self._info.objective, self._info.second, outcome.number
        final = {"epochs": float(outcome.epochs), "trial_seconds": outcome.seconds}
        if outcome.value is not None:
            final[f"best_{objective.metric}"] = outcome.value
        if second and outcome.second is not None:
            final[second.metric] = outcome.second
        tags = {STATE: str(outcome.state)}
        if outcome.reason:
            tags |= {REASON: outcome.reason, NOTE: outcome.reason}
        self._add(Record(_now(), number, metrics=final, tags=tags, status=STATUS[outcome.state]))
        if outcome.value is not None and objective.gain(outcome.value) > self._known.best:
            self._known.best = objective.gain(outcome.value)
            self._add(Record(_now(), None, metrics={self._so_far: outcome.value}, step=len(self._known.begun)))
        self._known.ended.add(number)

    def study_ended(self, outcome: StudyOutcome) -> None:
        metric, second = outcome.objective.metric, outcome.second
        states = [trial.state for trial in outcome.trials]
        metrics = {
            "trials": float(len(states)),
            "pruned": float(states.count("pruned")),
            "failed": float(states.count("failed")),
            "search_seconds": outcome.seconds,
        }
        if outcome.best.value is not None:
            metrics[f"best_{metric}"] = outcome.best.value
        if outcome.defaults and outcome.defaults.value is not None:
            metrics[f"defaults_{metric}"] = outcome.defaults.value
        tags = {"imgcls.best_trial": str(outcome.best.number), NOTE: _summary(outcome)}
        marks: dict[str, tuple[int, ...]] = {BEST: (outcome.best.number,), LEADER: (outcome.leader.number,)}
        if second and outcome.best.second is not None:
            metrics[f"best_{second.metric}"] = outcome.best.second
            marks[FRONT] = tuple(trial.number for trial in outcome.front)
            tags[FRONT] = ", ".join(map(str, marks[FRONT]))
        self._add(Record(_now(), outcome.best.number, data=_splits(self._info.data)))
        self._add(Record(_now(), None, metrics=metrics, tags=tags, marks=marks, status="FINISHED"))

    def broke_off(self, status: str) -> None:
        """What runs is KILLED, and the study FAILED or KILLED: it ended before its end."""
        if self._outbox is None:
            return
        for number in sorted(self._known.begun - self._known.ended):
            self._add(Record(_now(), number, status="KILLED"))
        self._add(Record(_now(), None, status=status))

    def _add(self, record: Record) -> None:
        if self._outbox is None:
            raise RuntimeError("a study is told that it started before anything else")
        self._outbox.add(record)


def _now() -> int:
    return int(time.time() * 1000)


def _same(before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """Whether an epoch came to the same, whatever time it took."""
    return all(math.isclose(before.get(key, math.nan), now[key], rel_tol=SAME) for key in now if key != "seconds")


def _splits(data: Mapping[str, str]) -> tuple[DataSplit, ...]:
    """The splits of the study's data that have a digest."""
    return tuple(
        DataSplit(
            name=data.get("name", "data")[:500],
            digest=data[f"{split}_fingerprint"][:12],
            context=context,
            profile={"pictures": data.get(split, ""), "classes": data.get("classes", "")},
        )
        for split, context in CONTEXTS.items()
        if f"{split}_fingerprint" in data
    )


def _summary(outcome: StudyOutcome) -> str:
    def shown(trial: TrialOutcome | None) -> str:
        return "none" if trial is None or trial.value is None else f"{trial.value:.4f}"

    rows = "".join(
        f"| {key} | {value} |\n" for key, value in outcome.best.params.model_dump(exclude_unset=True).items()
    )
    return (
        f"Best {outcome.objective.words} **{shown(outcome.best)}** (trial {outcome.best.number}), defaults "
        f"{shown(outcome.defaults)}; {len(outcome.trials)} trials in {outcome.seconds:.0f} s.\n\n"
        f"| setting of the best trial | value |\n|---|---|\n{rows}"
    )
