"""A study's outbox: all that MLflow is to know of it, in a file, and how far each address has got it."""

import contextlib
import json
import threading
from pathlib import Path

from imgcls_ray.data.files import write_atomic
from imgcls_ray.errors import StorageError
from imgcls_ray.tracking.record import Record, read_line

OUTBOX, SENT = "tracking.jsonl", "tracking.sent.json"


class Outbox:
    """Records are added by one thread and sent by another; both outlive any kill, whatever the moment.

    What is in the file stays there, so that another address can be sent all of it.
    """

    def __init__(self, folder: Path, address: str) -> None:
        """`folder` is the study's; whoever opens it to add holds `sole_driver`. `address` has no password.

        Raises:
            StorageError: a line of the file is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file, self._marks, self._address = folder / OUTBOX, folder / SENT, address
        self._changed = threading.Condition()
        self.records = self._read()
        """All of them, in their order."""
        marks = json.loads(self._marks.read_bytes()) if self._marks.exists() else {}
        self._sent = min(int(marks.get(address, 0)), len(self.records))
        self.delivered = 0
        """How many this process has sent."""
        self._closed = False

    @property
    def left(self) -> int:
        """How many are not sent."""
        return len(self.records) - self._sent

    def add(self, record: Record) -> None:
        """Append a record: microseconds, and nothing of the network."""
        with self._changed:
            with self._file.open("ab") as file:
                file.write(record.line())
            self.records.append(record)
            self._changed.notify_all()

    def begun(self) -> bool:
        """Waits until there is a record, sent or not; False once the outbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.records or self._closed)
            return not self._closed

    def waiting(self) -> list[Record]:
        """What is not sent; waits until there is something. Empty once the outbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.left or self._closed)
            return [] if self._closed else self.records[self._sent :]

    def sent(self, count: int) -> None:
        """The first so many of `waiting` are written."""
        with self._changed:
            self._mark(self._sent + count)
            self.delivered += count
            self._changed.notify_all()

    def rewind(self) -> None:
        """The address knows nothing of the study: all is to be sent."""
        with self._changed:
            self._mark(0)

    def wait_sent(self, seconds: float) -> bool:
        """Whether all is sent, after so many seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.left, seconds)

    def close(self) -> None:
        """End a `waiting`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _mark(self, sent: int) -> None:
        self._sent = sent
        marks = {}
        with contextlib.suppress(FileNotFoundError):
            marks = json.loads(self._marks.read_bytes())
        write_atomic(self._marks, json.dumps({**marks, self._address: sent}).encode(), sync=False)

    def _read(self) -> list[Record]:
        whole = self._file.read_bytes() if self._file.exists() else b""
        end = whole.rfind(b"\n") + 1
        if end < len(whole):  # a writer that was killed left a part of its last line
            with self._file.open("rb+") as file:
                file.truncate(end)
        try:
            return [read_line(line) for line in whole[:end].splitlines()]
        except (ValueError, TypeError, AttributeError) as error:
            raise StorageError(
                f"The file {self._file} holds what MLflow is to know of the study and is damaged ({error}): move it "
                "away, and the study goes on in new runs."
            ) from error
