"""A study and a real MLflow server that hangs, is killed and comes back; and one that only answers with errors."""

import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcls_ray.config import TrackingSettings
from imgcls_ray.errors import ClusterError
from imgcls_ray.search.listener import StudyOutcome
from imgcls_ray.tracking.tracker import Tracker

from .conftest import INFO, outcome, tell_study, tell_trial
from .test_ui import free_port

TRIALS = tuple(outcome(number, 0.5 + number / 10) for number in range(4))


class Server:
    """`mlflow server` on a database of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "files")),
        ]
        self.start()

    def start(self) -> None:
        quiet = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            self._command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server does not start")

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)

    def end(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def server(empty: Path, tmp_path: Path) -> Iterator[Server]:
    shutil.copy(empty / "mlflow.db", tmp_path / "server.db")
    server = Server(tmp_path, free_port())
    try:
        yield server
    finally:
        server.end()


@pytest.mark.timeout(180)
def test_a_server_that_hangs_and_is_killed_costs_a_study_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # by default 20
    with Tracker(tmp_path / "runs", TrackingSettings(uri=server.uri)) as tracker:
        listener = tracker.listener()
        listener.study_started(INFO)
        tell_trial(listener, TRIALS[0])
        tracker.flush()
        server.signal(signal.SIGSTOP)
        began = time.monotonic()
        tell_trial(listener, TRIALS[1])
        assert time.monotonic() - began < 0.5, "no trial waits for it"
        time.sleep(3)  # the run of trial 1 is asked for, more than once
        server.signal(signal.SIGCONT)
        tell_trial(listener, TRIALS[2])
        tracker.flush()
        server.end()
        tell_trial(listener, TRIALS[3])
        listener.study_ended(StudyOutcome(INFO.name, TRIALS, TRIALS[3], TRIALS[0], 9.0))
        server.start()
        parent = tracker.client.get_run(tracker.run_id)
        runs = tracker.client.search_runs(
            [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
        )
        assert sorted(run.info.run_name for run in runs) == [f"trial-00{number}" for number in range(4)]
        for run in runs:
            history = tracker.client.get_metric_history(run.info.run_id, "loss")
            assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]
        assert parent.info.status == "FINISHED"


class Failing(http.server.BaseHTTPRequestHandler):
    """Is there, and answers nothing but 500."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_with_a_server_that_answers_500_the_study_ends_and_is_sent_elsewhere_later(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing) as fake:
        threading.Thread(target=fake.serve_forever).start()
        uri = f"http://127.0.0.1:{fake.server_port}"
        try:
            tracker = Tracker(storage, TrackingSettings(uri=uri), patience=1)
            tell_study(tracker.listener(), TRIALS)
            with pytest.raises(ClusterError, match=r"have not reached MLflow .* `imgcls track pets-1 --storage"):
                tracker.close()
        finally:
            fake.shutdown()
    with Tracker(storage, TrackingSettings()) as tracker:
        tracker.begin(INFO.name)
        run = tracker.client.get_run(tracker.run_id)
        assert run.data.metrics["best_val_accuracy"] == 0.8
