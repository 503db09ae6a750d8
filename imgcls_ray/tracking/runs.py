"""The MLflow runs of one study: the study is the parent run, each trial a child. Every call here may block."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imgcls_ray.tracking.record import ID, PARENT, STUDY, TRIAL, DataSplit, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")
MAX_METRICS, MAX_PARAMS, MAX_TEXT = 1000, 100, 5000
"""MLflow's limits of one log_batch call and (rounded down) of one value's length."""


class StudyRuns:
    """Writes records. A call may be repeated after an error, by this process or another: nothing is made twice.

    A run is found by its tags. A server that hung may make one long after we have given up and made another: `settle`
    removes those.
    """

    def __init__(self, client: "MlflowClient", experiment: str, identity: Mapping[str, str], storage: Path) -> None:
        """`identity` is the tags that the study's own run begins with; files lie below `storage`."""
        self._client, self._experiment = client, experiment
        self._name, self._identity = identity[STUDY], {ID: identity[ID]}
        self._storage = storage
        self._trials: dict[int, str] = {}
        self._unsure = True  # whether runs may exist that we do not know the ids of
        self._doubted = False  # whether a server that hung may yet make one
        self.parent: str | None = None
        """The id of the study's own run, once it is known."""

    def find(self) -> bool:
        """Look for the runs that are there. Whether there are any."""
        self.settle()
        return self.parent is not None

    def write(self, records: Sequence[Record]) -> None:
        """Write one record, or several of the metrics of one run."""
        last = records[-1]
        run = self._begun(last) if last.start is not None else self._run(last.trial)
        self._log(run, records)
        if last.data:
            self._client.log_inputs(run, [_input(split) for split in last.data])
        for tag, trials in last.marks.items():
            self._mark(tag, trials)
        for path, folder in last.files:
            place = self._storage / path
            if not place.exists():
                raise LookupError(f"the file {place} is no longer there")
            self._client.log_artifact(run, str(place), folder or None)
        if last.trial is None and last.status is not None and self._doubted:
            self.settle()
        if last.status is not None:
            self._client.set_terminated(run, last.status, end_time=last.at)

    def settle(self) -> None:
        """Learn the ids of all runs, and delete those of which there is a second: the one with more in it stays."""
        self.parent = self._only(list(self._search(self._identity)), self.parent)
        children: defaultdict[int, list[Run]] = defaultdict(list)
        for child in self._search({PARENT: self.parent}) if self.parent else ():
            if TRIAL in child.data.tags:
                children[int(child.data.tags[TRIAL])].append(child)
        self._trials = {number: str(self._only(runs, self._trials.get(number))) for number, runs in children.items()}
        self._unsure = False

    def _only(self, runs: "list[Run]", used: str | None) -> str | None:
        runs.sort(key=lambda run: (run.info.run_id == used, len(run.data.metrics), run.info.run_id))
        for run in runs[:-1]:
            self._client.delete_run(run.info.run_id)
        return str(runs[-1].info.run_id) if runs else None

    def _begun(self, record: Record) -> str:
        """The run of a record that begins one: found, or made. It runs, also if it had ended before."""
        if self._unsure:
            self._doubted = True
            self.settle()
        known = self.parent if record.trial is None else self._trials.get(record.trial)
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            return known
        if record.trial is None:
            self.parent = self._create(self._name, record, {})
            return self.parent
        run = self._create(f"trial-{record.trial:03d}", record, {PARENT: self._run(None)})
        self._trials[record.trial] = run
        return run

    def _create(self, name: str, record: Record, more: Mapping[str, str]) -> str:
        self._unsure = True  # from here until we are at the next record: the server may have made it, and not said so
        tags = {**(record.start or {}), **more}
        made = self._client.create_run(self._experiment, start_time=record.at, tags=tags, run_name=name)
        self._unsure = False
        return str(made.info.run_id)

    def _run(self, trial: int | None) -> str:
        found = self.parent if trial is None else self._trials.get(trial)
        if found is None:
            raise LookupError(f"MLflow has no run of {'the study' if trial is None else f'trial {trial}'}")
        return found

    def _log(self, run: str, records: Sequence[Record]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        last = records[-1]
        rows = [Metric(key, value, one.at, one.step) for one in records for key, value in one.metrics.items()]
        there = self._client.get_run(run).data.params if last.params else {}
        pairs = [Param(key, value[:MAX_TEXT]) for key, value in last.params.items() if key not in there]
        tags = [RunTag(key, value[:MAX_TEXT]) for key, value in last.tags.items()]
        for params in _chunks(pairs, MAX_PARAMS):
            self._client.log_batch(run, params=params)
        for metrics in _chunks(rows, MAX_METRICS):
            self._client.log_batch(run, metrics=metrics)
        for some in _chunks(tags, MAX_PARAMS):
            self._client.log_batch(run, tags=some)

    def _mark(self, tag: str, trials: Sequence[int]) -> None:
        """Trials that an earlier start of the study marked may be beaten by now: they lose the tag."""
        bear = {self._trials[number] for number in trials if number in self._trials}
        before = {str(run.info.run_id) for run in self._search({PARENT: self._run(None), tag: "true"})}
        for run in before - bear:
            self._client.delete_tag(run, tag)
        for run in bear - before:
            self._client.set_tag(run, tag, "true")

    def _search(self, tags: Mapping[str, str]) -> "Iterator[Run]":
        quote = {key: '"' if "'" in value else "'" for key, value in tags.items()}
        query = " and ".join(f"tags.`{key}` = {quote[key]}{value}{quote[key]}" for key, value in tags.items())
        token = None
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _input(split: DataSplit) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = Dataset(
        name=split.name,
        digest=split.digest,
        source_type="local",
        source=json.dumps({"uri": split.name}),
        profile=json.dumps(dict(split.profile)),
    )
    return DatasetInput(data, [InputTag("mlflow.data.context", split.context)])


def _chunks(rows: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
