"""One study's way into MLflow."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from imgcls_ray.config import TrackingSettings
from imgcls_ray.errors import ClusterError, StorageError
from imgcls_ray.evaluation.metrics import Metrics
from imgcls_ray.search.listener import StudyListener
from imgcls_ray.tracking.client import connect, experiment_id, quiet, told
from imgcls_ray.tracking.location import hide, resolve_uri, sqlite_file
from imgcls_ray.tracking.recorder import Recorder
from imgcls_ray.tracking.runs import StudyRuns


class Tracker:
    """Opens MLflow for one study: give `listener()` to the search, then call `log_study`, then `close`.

    As a context manager it closes itself, and marks the runs that are still open when an error ends the study.

    Raises:
        SettingsError: the tracking address is of a kind that is not supported.
        ClusterError: the server does not answer (within seconds).
        StorageError: the database under the storage root can't be used.
    """

    def __init__(self, storage: Path, settings: TrackingSettings) -> None:
        self.storage = storage.absolute()
        self.uri = resolve_uri(storage, settings.uri)
        self.client = connect(self.uri)
        self._runs = StudyRuns(self.client, experiment_id(self.client, self.uri, storage), str(self.storage))
        self._recorder: Recorder | None = None

    def listener(self) -> StudyListener:
        """What the search tells its news to. It returns at once: a thread does the writing."""
        if self._recorder is None:
            self._recorder = Recorder(self._runs)
        return self._recorder

    @property
    def run_id(self) -> str:
        """The id of the study's parent run. Waits until it is written.

        Raises:
            ClusterError, StorageError: it could not be written, or no study was started.
        """
        self.flush()
        if self._runs.parent is None:
            raise StorageError(f"No study was started, so nothing is recorded at {hide(self.uri)}.")
        return self._runs.parent

    def flush(self) -> None:
        """Wait until everything told so far is recorded.

        Raises:
            ClusterError, StorageError: something could not be recorded; the study itself lies under the storage root.
        """
        errors = self._recorder.flush() if self._recorder else []
        if errors:
            kind = StorageError if sqlite_file(self.uri) else ClusterError
            raise kind(
                f"{len(errors)} of the study's records did not reach MLflow at {hide(self.uri)} (first: {errors[0]}); "
                f"the study itself is complete under {self.storage}."
            )

    def log_study(self, test: Metrics | None = None, artifacts: Sequence[Path] = ()) -> None:
        """Add the test figures and files to the parent run, after the study ended.

        `test` becomes the metrics `test_accuracy`, `test_loss`, `test_f1_macro` and the file `test_metrics.json`.

        Raises:
            ClusterError, StorageError: MLflow can't take them.
        """
        run = self.run_id
        with told(self.uri), quiet():
            if test is not None:
                for name in ("accuracy", "loss", "f1_macro"):
                    self.client.log_metric(run, f"test_{name}", getattr(test, name))
                self.client.log_dict(run, test.to_json(), "test_metrics.json")
            for path in artifacts:
                self.client.log_artifact(run, str(path))

    def close(self) -> None:
        """Wait for the last record and end the thread.

        Raises:
            ClusterError, StorageError: as `flush`.
        """
        if self._recorder is not None:
            recorder = self._recorder
            try:
                self.flush()
            finally:
                self._recorder = None
                recorder.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._recorder is not None:
            # The error that is on its way matters more than a record that is missing: nothing is raised from here.
            recorder, self._recorder = self._recorder, None
            recorder.end("FAILED" if issubclass(kind, Exception) else "KILLED")
