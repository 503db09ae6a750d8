"""Each trial has one run and each epoch one point, whatever was killed, or hung, while they were sent."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from imgcls_ray.tracking.client import experiment_id
from imgcls_ray.tracking.outbox import Outbox
from imgcls_ray.tracking.record import BEST, grouped
from imgcls_ray.tracking.recorder import Recorder
from imgcls_ray.tracking.runs import StudyRuns
from imgcls_ray.tracking.tracker import Tracker

from .conftest import INFO, outcome, tell_study

CHANGES = {"create_run", "log_batch", "log_inputs", "set_tag", "delete_tag", "set_terminated", "update_run"}


class Killed(BaseException):
    """As `kill -9`: nothing of ours runs after it."""


class Broken:
    """A client whose call number `at` of those that change something is made, and then raises."""

    def __init__(self, client: Any, at: int, error: BaseException) -> None:
        self._client, self._at, self._error = client, at, error
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in CHANGES:
            return call

        def made(*args: Any, **more: Any) -> Any:
            result = call(*args, **more)
            self.calls += 1
            if self.calls == self._at:
                raise self._error
            return result

        return made


class Sending:
    """A study's outbox, which is sent as the thread would."""

    def __init__(self, tracker: Tracker, folder: Path, trials: int = 2) -> None:
        self.folder, self.client, self.storage = folder, tracker.client, tracker.storage
        self.experiment = experiment_id(tracker.client, tracker.uri, tracker.storage)
        self.trials = tuple(outcome(number, 0.6 + number / 10) for number in range(trials))
        tell_study(Recorder(str(folder), lambda name: Outbox(folder, "here")), self.trials)

    def send(self, client: Any) -> str:
        outbox = Outbox(self.folder, "here")
        runs = StudyRuns(client, self.experiment, outbox.records[0].start or {}, self.storage)
        runs.find()
        for group in grouped(outbox.waiting() if outbox.left else []):
            self._until_written(runs, group)
        outbox.sent(outbox.left)
        return str(runs.parent)

    def _until_written(self, runs: StudyRuns, group: Any) -> None:
        for _ in range(3):
            try:
                return runs.write(group)
            except MlflowException:
                continue
        raise AssertionError("it fails again and again")

    def check(self, parent: str) -> None:
        found = self.client.search_runs([self.experiment], f"tags.`imgcls.storage` = '{self.folder}'")
        assert [run.info.run_id for run in found] == [parent]
        assert found[0].info.status == "FINISHED"
        children = self.client.search_runs([self.experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
        numbers = [str(trial.number) for trial in self.trials]
        assert sorted(run.data.tags["imgcls.trial"] for run in children) == numbers
        for run in children:
            history = self.client.get_metric_history(run.info.run_id, "loss")
            assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]
            assert run.info.status == "FINISHED"
            assert (run.data.tags.get(BEST) == "true") == (run.data.tags["imgcls.trial"] == numbers[-1])


def calls_of(sending: Sending) -> int:
    counting = Broken(sending.client, 0, Killed())
    sending.check(sending.send(counting))
    return counting.calls


def test_a_writer_that_is_killed_after_any_call_and_started_again_makes_nothing_twice(
    tracker: Tracker, tmp_path: Path
) -> None:
    total = calls_of(Sending(tracker, tmp_path / "whole", trials=1))
    assert total > 10
    for at in range(1, total + 1):
        sending = Sending(tracker, tmp_path / str(at), trials=1)
        with pytest.raises(Killed):
            sending.send(Broken(tracker.client, at, Killed()))
        sending.check(sending.send(tracker.client))


def test_a_call_that_was_carried_out_and_not_answered_is_made_again_without_harm(
    tracker: Tracker, tmp_path: Path
) -> None:
    for at in range(1, 6):  # the runs are made among these
        sending = Sending(tracker, tmp_path / str(at))
        parent = sending.send(Broken(tracker.client, at, MlflowException("read timed out")))
        sending.check(parent)


def test_a_run_that_a_server_makes_long_after_it_hung_is_removed(tracker: Tracker, tmp_path: Path) -> None:
    sending = Sending(tracker, tmp_path / "late")
    late: list[dict[str, Any]] = []

    class Hung(Broken):
        """The first trial's run is asked for, not made, and made when all else is written."""

        def __getattr__(self, name: str) -> Any:
            if name == "create_run":
                return self._create
            if name == "set_terminated" and late:
                while late:
                    self._client.create_run(**late.pop())
            return getattr(self._client, name)

        def _create(self, experiment: str, **what: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                late.append({"experiment_id": experiment, **what})
                raise MlflowException("read timed out")
            return self._client.create_run(experiment, **what)

    sending.check(sending.send(Hung(tracker.client, 0, Killed())))
    assert late == []


def test_the_splits_of_the_data_are_inputs_of_the_study_and_of_its_best_trial(tracker: Tracker, tmp_path: Path) -> None:
    sending = Sending(tracker, tmp_path / "data")
    parent = sending.send(tracker.client)
    best = tracker.client.search_runs(
        [sending.experiment], f"tags.`mlflow.parentRunId` = '{parent}' and tags.`{BEST}` = 'true'"
    )
    for run in (tracker.client.get_run(parent), best[0]):
        inputs = {
            (one.tags[0].value, one.dataset.name, one.dataset.digest): one.dataset for one in run.inputs.dataset_inputs
        }
        assert sorted(inputs) == [
            ("test", "pets", "3" * 12),
            ("training", "pets", "1" * 12),
            ("validation", "pets", "2" * 12),
        ]
        assert all(str(tmp_path) not in one.source + one.profile for one in inputs.values())
    assert '"pictures": "12"' in inputs["test", "pets", INFO.data["test_fingerprint"][:12]].profile
