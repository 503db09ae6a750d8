"""One study's way into MLflow."""

import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from imgcls_ray.config import TrackingSettings
from imgcls_ray.errors import ClusterError, StorageError
from imgcls_ray.evaluation.metrics import Metrics
from imgcls_ray.search.listener import StudyListener
from imgcls_ray.tracking.client import connect, experiment_id
from imgcls_ray.tracking.findings import Findings
from imgcls_ray.tracking.location import STUDIES, hide, is_server, resolve_uri, sqlite_file
from imgcls_ray.tracking.outbox import OUTBOX, Outbox
from imgcls_ray.tracking.record import ID
from imgcls_ray.tracking.recorder import Recorder
from imgcls_ray.tracking.runs import StudyRuns
from imgcls_ray.tracking.sender import Sender

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 90.0
"""Seconds without progress after which the end of a study no longer waits for MLflow."""
BRIEF = 10.0
"""The same where an error ends the study."""


class Tracker:
    """Records one study: give `listener()` to the search, then call `log_study`.

    What is told goes to the study's outbox, a file, and from there to MLflow, by a thread: a server that is away, hangs
    or answers with errors costs the study nothing but up to `PATIENCE` at its end. What is not sent by then is kept,
    and sent when the study is taken up, or by `imgcls track`.

    As a context manager it waits at the end, and marks the runs that are still open when an error ends the study.

    Raises:
        SettingsError: the tracking address is of a kind that is not supported.
        ClusterError: the database does not answer. (A server may be away: whether it is there is `check_reachable`.)
        StorageError: the database under the storage root can't be used.
    """

    def __init__(self, storage: Path, settings: TrackingSettings, patience: float | None = None) -> None:
        self.storage = storage.absolute()
        self.uri = resolve_uri(storage, settings.uri)
        self._patience = PATIENCE if patience is None else patience
        self._recorder: Recorder | None = None
        self._outbox: Outbox | None = None
        self._sender: Sender | None = None
        if not is_server(self.uri):
            experiment_id(self.client, self.uri, self.storage)

    @cached_property
    def client(self) -> "MlflowClient":
        """Opens MLflow, the first time.

        Raises:
            ClusterError, StorageError: it can't be reached.
        """
        # The sender tries again itself: what is asked for twice unseen may be made twice.
        return connect(self.uri, retries=0)

    def listener(self) -> StudyListener:
        """What the search tells its news to. It returns at once: a thread does the writing."""
        if self._recorder is None:
            self._recorder = Recorder(str(self.storage), self.begin)
        return self._recorder

    def begin(self, study: str) -> Outbox:
        """Open the outbox of a study and start to send what waits there.

        Raises:
            StorageError: it is damaged.
        """
        outbox = Outbox(self.storage / STUDIES / study, hide(self.uri))
        self._outbox, self._sender = outbox, Sender(outbox, self._open)
        return outbox

    def _open(self) -> StudyRuns:
        experiment = experiment_id(self.client, self.uri, self.storage)
        first = self._outbox.records[0] if self._outbox else None
        if first is None or first.start is None or ID not in first.start:
            raise StorageError(
                f"what {OUTBOX} in the study's folder begins with is not the study's start: move it away"
            )
        return StudyRuns(self.client, experiment, first.start, self.storage)

    @property
    def run_id(self) -> str:
        """The id of the study's parent run. Waits until it is written.

        Raises:
            ClusterError, StorageError: it could not be written, or no study was started.
        """
        self.flush()
        if self._sender is None or self._sender.runs is None or self._sender.runs.parent is None:
            raise StorageError(f"No study was started, so nothing is recorded at {hide(self.uri)}.")
        return self._sender.runs.parent

    def flush(self, tell: Callable[[str], None] | None = None) -> None:
        """Wait until everything told so far is recorded; `tell` hears when that takes longer. Ctrl-C ends the waiting.

        Raises:
            ClusterError, StorageError: something is not; the sentence says what to do about it.
        """
        sender, outbox = self._sender, self._outbox
        if sender is None or outbox is None:
            return
        try:
            arrived = sender.flush(self._patience, tell)
        except KeyboardInterrupt:
            arrived = False
        if not arrived:
            self._patience = 0.0  # it was waited for once
            kind = StorageError if sqlite_file(self.uri) else ClusterError
            raise kind(
                f"{outbox.left} of the study's records have not reached MLflow at {hide(self.uri)} "
                f"({sender.trouble or 'it does not answer'}); nothing is lost: {self.later}."
            )

    def refusals(self) -> str | None:
        """What MLflow did not take though it answers, in a sentence, told once; None where it took all."""
        errors = self._sender.errors if self._sender else []
        if not errors:
            return None
        told = (
            f"MLflow at {hide(self.uri)} refused {len(errors)} of the study's records (first: {errors[0]}); the "
            f"study itself is complete under {self.storage}."
        )
        errors.clear()
        return told

    @property
    def later(self) -> str:
        """What sends what was not sent."""
        name = self._outbox.folder.name if self._outbox else "STUDY"
        command = f"imgcls track {shlex.quote(name)} --storage {shlex.quote(str(self.storage))}"
        return f"`{command}` sends them when it is there again"

    def log_study(
        self,
        test: Metrics | None = None,
        artifacts: Sequence[Path] = (),
        best: int | None = None,
        tables: Sequence[Path] = (),
    ) -> None:
        """Add what was found out after the study ended: see `Findings`.

        Raises:
            StorageError: no study was started.
        """
        if self._outbox is None:
            raise StorageError("Figures are recorded of a study that was started; none was.")
        for record in Findings(test, artifacts, best, tables).records(self._outbox.folder, self.storage):
            self._outbox.add(record)

    def close(self) -> None:
        """Wait for the last record and end the thread.

        Raises:
            ClusterError, StorageError: as `flush`, unless that told it before.
        """
        try:
            if self._patience:
                self.flush()
        finally:
            if self._sender is not None:
                self._sender.stop()
            self._sender = self._outbox = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._sender is not None and self._recorder is not None:
            # The error that is on its way matters more than a record that waits: nothing is raised from here.
            self._recorder.broke_off("FAILED" if issubclass(kind, Exception) else "KILLED")
            self._sender.flush(min(self._patience, BRIEF))
            self._sender.stop()
