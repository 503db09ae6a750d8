"""A study's journal: Optuna's record of its trials, written as they go. It is the only truth about them."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import FrozenTrial, TrialState

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import StorageError
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.space import SearchSpace

JOURNAL, LOCK = "journal.log", "driver.lock"
OUTCOME = "imgcls.outcome"
"""User attribute of a trial that ended: how. It is written before Optuna is told: a kill in between loses nothing."""
ASKED, RESULT = "imgcls.asked", "imgcls.result"
"""User attributes of a study: what was asked for, on which data, and the most epochs that a trial of each stage may
have; what came of it."""

VALUE = "imgcls.value."
"""User attributes of a trial with two objectives, with the epoch's number behind: the first one's value after it."""
Told = float | list[float] | None
"""What Optuna is told of a trial that ended: its value, its values where there are two objectives, or that it was
pruned."""


@dataclass(frozen=True)
class Earlier:
    """What the starts of a study before this one left."""

    ended: tuple[TrialOutcome, ...] = ()
    values: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    """Of each ended trial, by number: the value that it reported after each epoch (1 is the first)."""
    params: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Of each ended trial, by number: its parameters by Optuna's names."""
    cut_off: tuple[FrozenTrial, ...] = ()
    """Trials that had begun and not ended, by number."""

    def of(self, space: SearchSpace) -> "Earlier":
        """What is of this space, where a study has several stages."""
        ended = tuple(outcome for outcome in self.ended if space.owns(self.params[outcome.number]))
        return Earlier(
            ended=ended,
            values={outcome.number: self.values[outcome.number] for outcome in ended},
            cut_off=tuple(trial for trial in self.cut_off if space.owns(trial.params)),
            params=self.params,
        )


@contextmanager
def sole_driver(folder: Path) -> Iterator[None]:
    """Hold the study in `folder`, which is made; the system lets go of it when this process ends, however it ends.

    Raises:
        StorageError: another process runs this study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"A study is run by one process at a time, and '{folder.name}' is being run by another one: wait for "
                "it, end it, or choose another name with --study."
            ) from error
        yield


def open_journal(folder: Path) -> optuna.storages.JournalStorage:
    """The journal for its one writer, who holds `sole_driver`; a last line that was cut off is dropped."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    if path.exists():
        _mend(path)
    return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=_Unlocked()))


def read_study(folder: Path, name: str) -> optuna.Study:
    """The study as its journal has it now; nothing is written.

    Raises:
        StorageError: there is none.
    """
    path = folder / JOURNAL
    if not path.is_file():
        raise StorageError(
            f"The study '{name}' has no trial yet (there is no {JOURNAL} in {folder}): take it up with --resume and "
            f"--study {name}."
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=_Unlocked()))
    try:
        return optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())
    except KeyError as error:
        raise StorageError(f"The journal {path} knows no study '{name}': it was ended before it began.") from error


def note_study(study: optuna.Study, name: str, document: Mapping[str, Any]) -> None:
    """Write `ASKED` or `RESULT`, an empty one to forget it; what is there already is not written again."""
    if study.user_attrs.get(name, {}) != document:
        study.set_user_attr(name, document)


def note_result(folder: Path, name: str, document: Mapping[str, Any]) -> None:
    """Write `RESULT` of the study in `folder`. Whoever calls holds `sole_driver`."""
    note_study(optuna.load_study(study_name=name, storage=open_journal(folder)), RESULT, document)


def class_count(data: Mapping[str, str]) -> int:
    """Classes of the data that a study was asked for; a journal that notes no number has their names alone."""
    return int(data["class_count"]) if "class_count" in data else len(data.get("classes", "").split(", "))


def note_value(trial: optuna.Trial, value: float, epoch: int) -> None:
    """Write a trial's value after an epoch.

    Optuna takes no such values in a study of two objectives: there they are user attributes, one for each epoch.
    """
    if len(trial.study.directions) == 1:
        trial.report(value, epoch)
    else:
        trial.set_user_attr(f"{VALUE}{epoch}", value)


def noted_values(trial: FrozenTrial) -> dict[int, float]:
    """What `note_value` wrote, by epoch (1 is the first)."""
    attributes = {
        int(name.removeprefix(VALUE)): value for name, value in trial.user_attrs.items() if name.startswith(VALUE)
    }
    return attributes or dict(trial.intermediate_values)


def note_outcome(trial: optuna.Trial, outcome: TrialOutcome, told: Told) -> None:
    """Write how a trial ended, and what the study will be told: its value or values, or that it was pruned (None).

    Call it before `study.tell`: after a kill in between `earlier` does that.
    """
    note = asdict(outcome) | {"params": outcome.params.model_dump(mode="json", exclude_unset=True), "told": told}
    trial.set_user_attr(OUTCOME, note)


def noted_outcome(trial: FrozenTrial) -> TrialOutcome | None:
    """What `note_outcome` wrote."""
    note: dict[str, Any] | None = trial.user_attrs.get(OUTCOME)
    if note is None:
        return None
    rest = {name: value for name, value in note.items() if name != "told"}
    return TrialOutcome(**{**rest, "params": TrialSettings(**note["params"])})


def earlier(study: optuna.Study) -> Earlier:
    """What the journal holds when a study is taken up, by number."""
    trials = study.get_trials(deepcopy=False)
    ended: dict[int, TrialOutcome] = {}
    for trial in trials:
        outcome = noted_outcome(trial)
        if outcome is None:
            continue
        ended[trial.number] = outcome
        if trial.state == TrialState.RUNNING:
            told = trial.user_attrs[OUTCOME]["told"]
            study.tell(trial.number, told, state=TrialState.PRUNED if told is None else TrialState.COMPLETE)
    return Earlier(
        ended=tuple(ended.values()),
        values={number: noted_values(trials[number]) for number in ended},
        params={number: trials[number].params for number in ended},
        cut_off=tuple(trial for trial in trials if trial.number not in ended),
    )


class _Unlocked(BaseJournalFileLock):
    """Optuna's own lock is a file that a killed process leaves, for which the next one waits half a minute."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing was taken."""


def _mend(path: Path) -> None:
    """Drop what a writer that was killed left of its last line: nothing could be read after it."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        at = end
        while at:
            start = max(at - 65536, 0)
            file.seek(start)
            newline = file.read(at - start).rfind(b"\n")
            if newline >= 0:
                at = start + newline + 1
                break
            at = start
        if at < end:
            file.truncate(at)
