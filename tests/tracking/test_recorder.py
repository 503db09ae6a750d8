"""The listener never waits for MLflow, loses nothing, and tells what it could not write."""

import threading
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from imgcls_ray.tracking.recorder import Recorder

from .conftest import INFO, outcome, tell_study, tell_trial


class FakeRuns:
    """Writes down each call; `script` may block or raise first."""

    def __init__(self, script: Any = lambda call: None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.script = script
        self.thread = ""

    def _call(self, name: str, rows: int = 0) -> None:
        self.script(name)
        self.thread = threading.current_thread().name
        self.calls.append((name, rows))

    def start_study(self, info: Any, at: int) -> None:
        self._call("start_study")

    def start_trial(self, number: int, params: Any, at: int) -> None:
        self._call("start_trial")

    def log_epochs(self, number: int, rows: list[Any]) -> None:
        self._call("log_epochs", len(rows))

    def end_trial(self, outcome: Any, rows: list[Any], at: int) -> None:
        self._call("end_trial", len(rows))

    def end_study(self, outcome: Any, at: int) -> None:
        self._call("end_study")

    def abort(self, status: str) -> None:
        self._call(status)


def test_no_call_touches_mlflow_in_the_callers_thread() -> None:
    gate = threading.Event()
    runs = FakeRuns(lambda call: gate.wait(60))
    recorder = Recorder(runs)  # type: ignore[arg-type]
    tell_study(recorder, (outcome(0, 0.5), outcome(1, 0.7)))  # returns though nothing can be written
    assert runs.calls == []
    gate.set()
    assert recorder.flush() == []
    assert [name for name, _ in runs.calls] == ["start_study", *["start_trial", "end_trial"] * 2, "end_study"]
    assert runs.thread == "mlflow-recorder"
    recorder.stop()


def test_epochs_that_pile_up_are_written_together() -> None:
    gate = threading.Event()
    runs = FakeRuns(lambda call: gate.wait(60))
    recorder = Recorder(runs)  # type: ignore[arg-type]
    recorder.study_started(INFO)
    tell_trial(recorder, outcome(0, 0.5, epochs=50))
    gate.set()
    assert recorder.flush() == []
    assert runs.calls == [("start_study", 0), ("start_trial", 0), ("end_trial", 100)]
    recorder.stop()


def test_epochs_are_written_while_a_trial_runs() -> None:
    runs = FakeRuns()
    recorder = Recorder(runs)  # type: ignore[arg-type]
    recorder.epoch_ended(0, 1, {"loss": 1.0})
    assert recorder.flush() == []
    assert runs.calls == [("log_epochs", 1)]
    recorder.stop()


def test_a_server_that_is_away_for_a_moment_loses_nothing() -> None:
    left = [3]

    def away(call: str) -> None:
        if call == "start_trial" and left[0]:
            left[0] -= 1
            raise MlflowException("API request failed with exception: connection refused")

    runs = FakeRuns(away)
    recorder = Recorder(runs, pause=0.01)  # type: ignore[arg-type]
    tell_study(recorder, (outcome(0, 0.5),))
    assert recorder.flush() == []
    assert [name for name, _ in runs.calls] == ["start_study", "start_trial", "end_trial", "end_study"]
    recorder.stop()


def test_a_server_that_stays_away_is_given_up_and_told() -> None:
    def away(call: str) -> None:
        raise MlflowException("connection refused")

    recorder = Recorder(FakeRuns(away), pause=0.01)  # type: ignore[arg-type]
    tell_study(recorder, (outcome(0, 0.5),))
    assert recorder.flush(patience=0.2) == ["connection refused"]
    recorder.stop()


@pytest.mark.parametrize(
    "error", [MlflowException("Changing param values is not allowed", INVALID_PARAMETER_VALUE), KeyError("surprise")]
)
def test_an_error_that_stays_is_kept_and_the_rest_is_written(error: Exception) -> None:
    def broken(call: str) -> None:
        if call == "end_trial":
            raise error

    runs = FakeRuns(broken)
    recorder = Recorder(runs)  # type: ignore[arg-type]
    tell_study(recorder, (outcome(0, 0.5),))
    errors = recorder.flush()
    assert len(errors) == 1
    assert str(error.args[0]) in errors[0]
    assert ("end_study", 0) in runs.calls
    assert recorder.flush() == []
    recorder.stop()


def test_the_end_by_an_error_is_written_after_what_was_told() -> None:
    runs = FakeRuns()
    recorder = Recorder(runs)  # type: ignore[arg-type]
    recorder.study_started(INFO)
    assert recorder.end("KILLED") == []
    assert runs.calls == [("start_study", 0), ("KILLED", 0)]
