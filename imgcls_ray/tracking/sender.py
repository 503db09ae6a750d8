"""The thread that carries an outbox to MLflow, however long that is away."""

import logging
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException

from imgcls_ray.errors import ClusterError, StorageError
from imgcls_ray.tracking.client import first_line, quiet
from imgcls_ray.tracking.outbox import Outbox
from imgcls_ray.tracking.record import Record, grouped
from imgcls_ray.tracking.runs import StudyRuns

# Asking again will hardly help with these; anything else may be a server that is away, or that lets us in tomorrow.
FINAL_CODES = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "BAD_REQUEST",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_ALREADY_EXISTS",
        "NOT_IMPLEMENTED",
    }
)
LATER_STATUS = frozenset({401, 403, 404, 407, 408, 425, 429})
"""What a store of files answers (HTTP) to who may be let in tomorrow, is too fast, or reached a proxy whose server is
away. Any other 4xx is about the file, such as 413, which is one over a limit."""
REFUSALS = 3
"""So often a record is refused until it is left out: when two writers add one data set at once, MLflow tells the second
that this is a bad request."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds from one try to the next; each is twice the one before."""
SILENT = 5.0
"""Seconds of waiting that need no word."""
BUSY = 10
"""So many times the patience is had with a call that has not failed yet."""


class Sender:
    """Sends records in their order, what has piled up together, and tries the first again while MLflow is away.

    A record that MLflow refuses for good is left out, and its error kept.
    """

    def __init__(self, outbox: Outbox, runs: Callable[[], StudyRuns]) -> None:
        """`runs` opens MLflow; it is called in the thread, until it succeeds."""
        self._outbox, self._open = outbox, runs
        self._stopped, self._opened = threading.Event(), threading.Event()
        self._progress = 0
        self.runs: StudyRuns | None = None
        """Once MLflow is open."""
        self.errors: list[str] = []
        """Why records were left out, one sentence each."""
        self.trouble: str | None = None
        """Why the last try failed; None when it did not."""
        self._thread = threading.Thread(target=self._run, name="mlflow-sender", daemon=True)
        self._thread.start()

    def flush(self, patience: float, tell: Callable[[str], None] | None = None) -> bool:
        """Wait until all is sent; give up after `patience` seconds in which nothing was. `tell` hears that it waits."""
        before, since = self._progress, time.monotonic()
        while not self._is_done(min(1.0, patience)):
            if self._progress != before:
                before, since = self._progress, time.monotonic()
                continue
            waited = time.monotonic() - since
            # A call that has not failed may be a large file on its way: MLflow itself gives up one that hangs.
            if waited > patience * (1 if self.trouble else BUSY) or not self._thread.is_alive():
                return False
            if tell is not None and waited > SILENT:
                tell(
                    f"MLflow does not answer ({self.trouble or 'it has a call of ours'}): {self._outbox.left} records "
                    f"wait for it, for up to {patience:.0f} s; Ctrl-C ends it"
                )
                tell = None
        return True

    def _is_done(self, seconds: float) -> bool:
        """Whether MLflow is open and has all there is, after so many seconds at most."""
        if not self._outbox.records:
            return True
        return self._opened.wait(seconds) and self._outbox.wait_sent(seconds)

    def stop(self) -> None:
        """End the thread after the call that it is in; it never keeps the program alive."""
        self._stopped.set()
        self._outbox.close()
        self._thread.join(1.0)

    def _run(self) -> None:
        with quiet():
            if not self._outbox.begun() or not self._try(self._begin) or not self._opened.is_set():
                return
            while batch := self._outbox.waiting():
                if not all(self._try(partial(self._write, group)) for group in grouped(batch)):
                    return
                if not self._try(partial(self._outbox.sent, len(batch))):
                    return

    def _begin(self) -> None:
        runs = self._open()
        if not runs.find():
            self._outbox.rewind()
        self.runs = runs
        self._opened.set()

    def _write(self, group: list[Record]) -> None:
        if self.runs is not None:
            self.runs.write(group)

    def _try(self, call: Callable[[], None]) -> bool:
        """Call until it succeeds or fails for good; False when the thread is to end first."""
        pause, refusals = FIRST_PAUSE, 0
        while not self._stopped.is_set():
            try:
                call()
            except Exception as error:  # whatever it is, it must reach the user through `errors` or `trouble`
                refusals += _is_final(error)
                if refusals == REFUSALS:
                    logging.getLogger(__name__).debug("not recorded", exc_info=True)
                    self.errors.append(first_line(error))
                    return True
                self.trouble = trouble(error)
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._progress += 1
                self.trouble = None
                return True
        return False


def trouble(error: BaseException) -> str:
    """In a few words why a server or a database could not be used; MLflow's own message can have several lines."""
    text = str(error)
    if found := re.search(r"\[Errno -?\d+\] ([\w ]+)", text):
        return found[1].strip().lower()
    if "timed out" in text.lower():
        return "no answer in time"
    if found := re.search(r"failed with error code (\d+)", text):
        return f"it answers with the error {found[1]}"
    return first_line(error)


def _is_final(error: Exception) -> bool:
    """Whether it fails the next time too: neither the store nor the network, or the store's last word."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    cause = error.__cause__ if isinstance(error, ClusterError | StorageError) else error
    if isinstance(cause, MlflowException):
        return cause.error_code in FINAL_CODES
    status = getattr(getattr(cause, "response", None), "status_code", None)  # of requests' HTTPError, an OSError too
    if status is not None:
        return 400 <= status < 500 and status not in LATER_STATUS
    return not isinstance(cause, SQLAlchemyError | OSError | HTTPException)
