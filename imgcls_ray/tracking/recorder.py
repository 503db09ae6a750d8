"""The listener that a study is given: it notes what happens and lets a thread carry it to MLflow."""

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome, TrialOutcome
from imgcls_ray.tracking.client import first_line, quiet
from imgcls_ray.tracking.runs import StudyRuns

if TYPE_CHECKING:
    from mlflow.entities import Metric

# Asking again will not help with these; anything else may be a server that is away for a moment.
FINAL_CODES = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "BAD_REQUEST",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "ENDPOINT_NOT_FOUND",
        "NOT_IMPLEMENTED",
    }
)
VALUE = "value"
"""The objective of a trial whose other metrics of each epoch were lost with the process that heard them."""
Event = tuple[str, tuple[Any, ...], int]


class Recorder(StudyListener):
    """Each call puts one event in a queue (microseconds); a thread writes them in their order.

    What comes while a call to MLflow runs is written together afterwards. While the server is away the events wait, and
    the first of them is tried again with growing pauses. Errors are kept for `flush`.
    """

    def __init__(self, runs: StudyRuns, pause: float = 0.5) -> None:
        self.runs = runs
        self._pause = pause
        """Seconds before the first new try; each further pause doubles, up to 15 s."""
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._pending: defaultdict[int, list[Metric]] = defaultdict(list)
        self._errors: list[str] = []
        self._progress = 0
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow-recorder", daemon=True)
        self._thread.start()

    def study_started(self, study: StudyInfo) -> None:
        self._put("study_started", study)

    def trial_restored(self, outcome: TrialOutcome, values: Mapping[int, float]) -> None:
        self._put("trial_restored", outcome, dict(values))

    def trial_started(self, number: int, params: TrialSettings) -> None:
        self._put("trial_started", number, params)

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:
        self._put("epoch_ended", number, epoch, dict(metrics))

    def trial_ended(self, outcome: TrialOutcome) -> None:
        self._put("trial_ended", outcome)

    def study_ended(self, outcome: StudyOutcome) -> None:
        self._put("study_ended", outcome)

    def flush(self, patience: float = 60.0) -> list[str]:
        """Wait until all that was told is written. Gives up after `patience` seconds without progress.

        Returns what went wrong since the last call, one sentence each; empty when everything is recorded.
        """
        done = threading.Event()
        self._put("flush", done)
        while not done.is_set():
            before = self._progress
            if not done.wait(patience) and self._progress == before:
                self._given_up.set()
                done.wait(1)  # the thread drops what is left, unless a call to the server still hangs
                break
        errors, self._errors = self._errors, []
        if self._given_up.is_set() and not errors:
            errors = ["MLflow did not answer"]
        return errors

    def end(self, status: str, patience: float = 10.0) -> list[str]:
        """Mark the open runs as `status` (FAILED or KILLED), then stop; what went wrong is returned, as by `flush`."""
        self._put("abort", status)
        errors = self.flush(patience)
        self.stop()
        return errors

    def stop(self) -> None:
        """End the thread after what is in the queue; it never keeps the program alive."""
        self._queue.put(None)

    def _put(self, kind: str, *payload: Any) -> None:
        self._queue.put((kind, payload, int(time.time() * 1000)))

    def _run(self) -> None:
        with quiet():
            event = self._queue.get()
            while event is not None:
                self._handle(*event)
                try:
                    event = self._queue.get_nowait()
                except queue.Empty:
                    self._write_pending()
                    event = self._queue.get()

    def _handle(self, kind: str, payload: tuple[Any, ...], at: int) -> None:
        runs = self.runs
        if kind == "study_started":
            self._write(lambda: runs.start_study(payload[0], at))
        elif kind == "trial_restored":
            from mlflow.entities import Metric

            rows = [Metric(VALUE, value, at, epoch) for epoch, value in payload[1].items()]
            self._write(lambda: runs.restore_trial(payload[0], rows, at))
        elif kind == "trial_started":
            self._write(lambda: runs.start_trial(payload[0], payload[1], at))
        elif kind == "epoch_ended":
            self._keep(payload[0], payload[1], payload[2], at)
        elif kind == "trial_ended":
            rows = self._pending.pop(payload[0].number, [])
            self._write(lambda: runs.end_trial(payload[0], rows, at))
        elif kind == "study_ended":
            self._write_pending()
            self._write(lambda: runs.end_study(payload[0], at))
        elif kind == "abort":
            self._write_pending()
            self._write(lambda: runs.abort(payload[0]))
        elif kind == "flush":
            self._write_pending()
            payload[0].set()

    def _keep(self, number: int, epoch: int, metrics: dict[str, float], at: int) -> None:
        from mlflow.entities import Metric

        self._pending[number] += [Metric(key, float(value), at, epoch) for key, value in metrics.items()]

    def _write_pending(self) -> None:
        while self._pending:
            number, rows = self._pending.popitem()
            self._write(lambda number=number, rows=rows: self.runs.log_epochs(number, rows))  # type: ignore[misc]

    def _write(self, call: Callable[[], None]) -> None:
        pause = self._pause
        while not self._given_up.is_set():
            try:
                call()
            except Exception as error:  # whatever it is, it must reach the user through flush()
                if getattr(error, "error_code", None) in FINAL_CODES or not _from_outside(error):
                    logging.getLogger(__name__).debug("not recorded", exc_info=True)
                    self._errors.append(first_line(error))
                    return
                if self._given_up.wait(pause):
                    self._errors.append(first_line(error))
                pause = min(2 * pause, 15.0)
            else:
                self._progress += 1
                return


def _from_outside(error: Exception) -> bool:
    """Whether the store or the network failed, and not our own code."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, MlflowException | SQLAlchemyError | OSError)
