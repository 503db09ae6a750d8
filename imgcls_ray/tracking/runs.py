"""The MLflow runs of one study: the study is the parent run, each trial a child. Every call here may block."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyInfo, StudyOutcome, TrialOutcome

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

T = TypeVar("T")
REPEATS, PARENT = "imgcls.from_trial", "mlflow.parentRunId"
STUDY, STORAGE, TRIAL, STATE, BEST = "imgcls.study", "imgcls.storage", "imgcls.trial", "imgcls.state", "imgcls.best"
FRONT = "imgcls.front"
SO_FAR = "best_{}_so_far"
# The UI draws a figure without steps as a bar, to be compared, and one with steps as a curve.
# KILLED has the red cross of FAILED there, so a trial that was stopped early is FINISHED and its tag says the rest.
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
MAX_METRICS, MAX_PARAMS, MAX_TEXT = 1000, 100, 5000
"""MLflow's limits of one log_batch call and (rounded down) of one value's length."""


class StudyRuns:
    """Writes a study's runs. Calls may be repeated after an error: nothing is made twice.

    A study that is taken up again finds its runs by their tags and goes on in them.
    """

    def __init__(self, client: "MlflowClient", experiment: str, storage: str) -> None:
        self._client = client
        self._experiment = experiment
        self._storage = storage
        self._trials: dict[int, str] = {}
        self._ended: set[int] = set()
        self._open: set[str] = set()
        """Runs of trials that an earlier start of the study did not see the end of."""
        self._unsure = True  # whether runs may exist that we do not know the ids of
        self._metric = "val_accuracy"
        self._gain: Callable[[float], float] = float
        self._second: str | None = None
        self._best = -math.inf
        self.parent: str | None = None
        """The parent's run id, once it exists."""

    def start_study(self, info: StudyInfo, at: int) -> None:
        """Make the parent run, or open it again. `at` is the time in ms since 1970, here and below."""
        self._metric, self._gain = info.objective.metric, info.objective.gain
        self._second = info.second.metric if info.second else None
        if self.parent is None:
            known = next(self._search({STUDY: info.name, STORAGE: self._storage}), None)
            self._unsure = known is not None
            if known is None:
                tags = {STUDY: info.name, STORAGE: self._storage, "mlflow.source.name": "imgcls run"}
                tags |= {REPEATS: info.repeats} if info.repeats else {}
                self.parent = self._create(info.name, tags, at)
            else:
                best = known.data.metrics.get(SO_FAR.format(info.objective.metric))
                self._best = -math.inf if best is None else info.objective.gain(best)
                self.parent = str(known.info.run_id)
        run = self._client.get_run(self.parent)
        self._client.update_run(self.parent, status="RUNNING")
        for child in self._search({PARENT: self.parent}) if self._unsure else ():
            self._trials[int(child.data.tags[TRIAL])] = child.info.run_id
            if child.info.status == "RUNNING" or STATE not in child.data.tags:
                self._open.add(child.info.run_id)
        tags = {f"imgcls.data.{key}": value for key, value in info.data.items()}
        tags["mlflow.note.content"] = f"Study **{info.name}** is running: {info.trials} trials are asked for."
        # A parameter can't be changed once it is written: a study taken up again keeps its first settings.
        new = {key: value for key, value in info.settings.items() if key not in run.data.params}
        self._log(self.parent, params=new, tags=tags)
        self._log_data(self.parent, info)

    def start_trial(self, number: int, params: TrialSettings, at: int) -> None:
        """Make the child run `trial-007`, or open it again after a cut-off."""
        known = self._trials.get(number)
        if known is None and self._unsure:
            found = next(self._search({PARENT: str(self.parent), TRIAL: str(number)}), None)
            known = found.info.run_id if found else None
        if known is None:
            tags = {PARENT: str(self.parent), TRIAL: str(number), "mlflow.source.name": "imgcls run"}
            known = self._create(f"trial-{number:03d}", tags, at)
        else:
            self._client.update_run(known, status="RUNNING")
        self._trials[number] = known
        if not self._client.get_run(known).data.params:
            self._log(known, params={key: str(value) for key, value in params.model_dump(exclude_unset=True).items()})

    def restore_trial(self, outcome: TrialOutcome, rows: "Sequence[Metric]", at: int) -> None:
        """A trial that had ended when the study was taken up: write what the start before could not write any more."""
        run = self._trials.get(outcome.number)
        if run is not None and run not in self._open:
            self._ended.add(outcome.number)
            return
        self.start_trial(outcome.number, outcome.params, at)
        self.end_trial(outcome, rows, at)

    def log_epochs(self, number: int, rows: "Sequence[Metric]") -> None:
        """Metrics of one trial's epochs, in one call per thousand."""
        for chunk in _chunks(list(rows), MAX_METRICS):
            self._client.log_batch(self._trials[number], metrics=chunk)

    def end_trial(self, outcome: TrialOutcome, rows: "Sequence[Metric]", at: int) -> None:
        """The last epochs, the final figures and the state of a trial; the parent's best so far."""
        run = self._trials[outcome.number]
        final = {"epochs": float(outcome.epochs), "trial_seconds": outcome.seconds}
        if outcome.value is not None:
            final[f"best_{self._metric}"] = outcome.value
        if self._second and outcome.second is not None:
            final[self._second] = outcome.second
        tags: dict[str, str] = {STATE: outcome.state}
        if outcome.reason:
            tags |= {"imgcls.reason": outcome.reason, "mlflow.note.content": outcome.reason}
        self.log_epochs(outcome.number, rows)
        self._log(run, metrics=final, tags=tags, at=at)
        self._client.set_terminated(run, STATUS[outcome.state], end_time=at)
        if outcome.value is not None and self._gain(outcome.value) > self._best:
            so_far = {SO_FAR.format(self._metric): outcome.value}
            self._log(str(self.parent), metrics=so_far, step=len(self._trials), at=at)
            self._best = self._gain(outcome.value)
        self._ended.add(outcome.number)

    def end_study(self, outcome: StudyOutcome, at: int) -> None:
        """The study's figures on the parent, and a mark on the best trial."""
        states = [trial.state for trial in outcome.trials]
        metrics = {
            "trials": float(len(states)),
            "pruned": float(states.count("pruned")),
            "failed": float(states.count("failed")),
            "search_seconds": outcome.seconds,
        }
        if outcome.best.value is not None:
            metrics[f"best_{self._metric}"] = outcome.best.value
        if outcome.defaults and outcome.defaults.value is not None:
            metrics[f"defaults_{self._metric}"] = outcome.defaults.value
        tags = {"imgcls.best_trial": str(outcome.best.number), "mlflow.note.content": _summary(outcome)}
        if self._second and outcome.best.second is not None:
            metrics[f"best_{self._second}"] = outcome.best.second
            tags[FRONT] = ", ".join(str(trial.number) for trial in outcome.front)
        self._log(str(self.parent), metrics=metrics, tags=tags, at=at)
        self._mark_front(outcome)
        if outcome.best.number in self._trials:
            self._log(self._trials[outcome.best.number], tags={BEST: "true"})
        self._client.set_terminated(str(self.parent), "FINISHED", end_time=at)

    def _mark_front(self, outcome: StudyOutcome) -> None:
        """A tag on the trials of the Pareto front; those that an earlier start marked may be beaten by now."""
        marked = self._search({"mlflow.parentRunId": str(self.parent), FRONT: "true"}) if self._unsure else ()
        front = {self._trials[trial.number] for trial in outcome.front if trial.number in self._trials}
        before = {str(run.info.run_id) for run in marked}
        for run in before - front:
            self._client.delete_tag(run, FRONT)
        for run in front - before:
            self._log(run, tags={FRONT: "true"})

    def abort(self, status: str) -> None:
        """Close what is open as `status` (FAILED or KILLED): the study ended before its end."""
        now = int(time.time() * 1000)
        for number, run in self._trials.items():
            if number not in self._ended and self._client.get_run(run).info.status == "RUNNING":
                self._client.set_terminated(run, "KILLED", end_time=now)
        if self.parent:
            self._client.set_terminated(self.parent, status, end_time=now)

    def _create(self, name: str, tags: dict[str, str], at: int) -> str:
        unsure, self._unsure = self._unsure, True  # an error may come after the server has made the run
        run = self._client.create_run(self._experiment, start_time=at, tags=tags, run_name=name)
        self._unsure = unsure
        return str(run.info.run_id)

    def _search(self, tags: dict[str, str]) -> "Iterator[Run]":
        quote = {key: '"' if "'" in value else "'" for key, value in tags.items()}
        query = " and ".join(f"tags.`{key}` = {quote[key]}{value}{quote[key]}" for key, value in tags.items())
        token = None
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _log(
        self,
        run: str,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        step: int = 0,
        at: int = 0,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        rows = [Metric(key, value, at, step) for key, value in (metrics or {}).items()]
        pairs = [Param(key, str(value)[:MAX_TEXT]) for key, value in (params or {}).items()]
        marks = [RunTag(key, str(value)[:MAX_TEXT]) for key, value in (tags or {}).items()]
        for chunk in _chunks(pairs, MAX_PARAMS):
            self._client.log_batch(run, params=chunk)
        self._client.log_batch(run, metrics=rows, tags=marks)

    def _log_data(self, run: str, info: StudyInfo) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        digest = info.data.get("fingerprint", "")[:12]  # as in the folder's name; MLflow takes 36
        if not digest:
            return
        data: Any = Dataset(
            name=info.data.get("name", info.name)[:500],
            digest=digest,
            source_type="local",
            source=json.dumps({"uri": info.data.get("path", info.data.get("name", ""))}),
            profile=json.dumps(info.data),
        )
        self._client.log_inputs(run, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def _chunks(rows: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _summary(outcome: StudyOutcome) -> str:
    def percent(trial: TrialOutcome | None) -> str:
        return "none" if trial is None or trial.value is None else f"{trial.value:.4f}"

    rows = "".join(
        f"| {key} | {value} |\n" for key, value in outcome.best.params.model_dump(exclude_unset=True).items()
    )
    return (
        f"Best {outcome.objective.words} **{percent(outcome.best)}** (trial {outcome.best.number}), defaults "
        f"{percent(outcome.defaults)}; {len(outcome.trials)} trials in {outcome.seconds:.0f} s.\n\n"
        f"| setting of the best trial | value |\n|---|---|\n{rows}"
    )
