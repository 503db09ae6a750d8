"""Pictures that were answered, kept for people to label: opt-in, bounded, and never in the way of an answer."""

import csv
import fcntl
import hashlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from typing import Literal

import numpy as np

from imgcls_ray.data.files import storing, write_atomic
from imgcls_ray.data.header import sniff
from serve.settings import ServeSettings

logger = logging.getLogger("serve")

PICTURES = "pictures"
COLUMNS = ("path", "label", "predicted", "probability", "decision", "model", "version", "request_id", "time")
"""Of a table, which is a source of pictures as it is: rows without a label are counted and left out."""
_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "GIF": "gif", "WEBP": "webp", "BMP": "bmp"}
_WAITING, _WAITING_BYTES = 64, 64_000_000
"""Pictures that wait for the disk, at the most; beyond that they are not kept."""
_LOOK_SECONDS = 30
"""How often a replica looks what the others have kept."""
Outcome = Literal["kept", "known", "dropped", "full", "failed"]


@dataclass(frozen=True)
class Kept:
    """A picture with its answer."""

    picture: bytes
    predicted: str
    probability: float
    decision: str
    model: str
    version: str | None
    request_id: str
    time: datetime


class Keeper:
    """Writes pictures and a table a day (UTC) into a folder, in a thread of its own.

    A picture's name is its sha256, so it is kept once however often it is sent. Several replicas may have one folder:
    a line of the table is written under a lock.
    """

    def __init__(self, settings: ServeSettings, tell: Callable[[Outcome], None]) -> None:
        """`tell` hears what became of each picture that was to be kept.

        Raises:
            StorageError: the folder can't be made.
        """
        if settings.keep is None:
            raise RuntimeError("nothing is to be kept")
        self._folder, self._settings, self._tell = Path(settings.keep), settings, tell
        self._pictures = self._folder / PICTURES
        make_folders(self._folder)
        self._chance = np.random.default_rng()
        self._queue: Queue[Kept] = Queue(_WAITING)
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._count, self._bytes, self._looked = 0, 0, -float(_LOOK_SECONDS)
        self._told: str | None = None
        """What went wrong last, so that it is told once."""
        threading.Thread(target=self._run, name="keeper", daemon=True).start()

    def offer(self, kept: Kept) -> None:
        """Keep it, if it is to be and there is time; returns at once."""
        if self._settings.keep_unsure and kept.decision != "unsure":
            return
        if self._chance.random() >= self._settings.keep_share:
            return
        size = len(kept.picture)
        with self._lock:
            fits = self._waiting_bytes + size <= _WAITING_BYTES
            self._waiting_bytes += size if fits else 0
        try:
            if not fits:
                raise Full
            self._queue.put_nowait(kept)
        except Full:
            if fits:
                self._done(size)
            self._tell("dropped")

    def flush(self) -> None:
        """Wait until what was offered is on the disk."""
        self._queue.join()

    def _run(self) -> None:
        while True:
            kept = self._queue.get()
            try:
                outcome = self._keep(kept)
                if outcome == "kept":
                    self._told = None
            except Exception as error:  # noqa: BLE001 - whatever it is, the service goes on answering
                outcome = "failed"
                self._trouble(f"Pictures can't be kept in {self._folder}: {error}")
            self._tell(outcome)
            self._done(len(kept.picture))
            self._queue.task_done()

    def _keep(self, kept: Kept) -> Outcome:
        name = f"{hashlib.sha256(kept.picture).hexdigest()}.{_SUFFIXES[sniff(kept.picture)]}"
        place = self._pictures / name
        if place.exists():
            return "known"
        if self._full(len(kept.picture)):
            return "full"
        write_atomic(place, kept.picture, sync=False)
        try:
            self._append(kept, f"{PICTURES}/{name}")
        except BaseException:
            place.unlink(missing_ok=True)
            raise
        self._count, self._bytes = self._count + 1, self._bytes + len(kept.picture)
        return "kept"

    def _append(self, kept: Kept, path: str) -> None:
        day = kept.time.strftime("%Y-%m-%d")
        number = os.open(self._folder / f"predictions-{day}.csv", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            size = os.fstat(number).st_size
            row = (
                path, "", kept.predicted, f"{kept.probability:.4f}", kept.decision, kept.model, kept.version or "",
                kept.request_id, kept.time.isoformat(timespec="milliseconds"),
            )  # fmt: skip
            line = _line(row) if size else _line(COLUMNS) + _line(row)
            if os.write(number, line) != len(line):
                os.ftruncate(number, size)
                raise OSError("the disk is full")
        finally:
            os.close(number)

    def _full(self, more: int) -> bool:
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            sizes = [entry.stat().st_size for entry in os.scandir(self._pictures)]
            self._count, self._bytes, self._looked = len(sizes), sum(sizes), now
        most, most_bytes = self._settings.keep_pictures, self._settings.keep_megabytes * 1_000_000
        if self._count < most and self._bytes + more <= most_bytes:
            return False
        self._trouble(
            f"No more pictures are kept: {self._folder} holds {self._count:,} of them in {self._bytes / 1e6:,.0f} MB, "
            f"of at most {most:,} and {most_bytes // 1_000_000:,} MB; move those away that are labelled."
        )
        return True

    def _trouble(self, what: str) -> None:
        if what != self._told:
            self._told = what
            logger.error("%s", what)

    def _done(self, size: int) -> None:
        with self._lock:
            self._waiting_bytes -= size


def make_folders(folder: Path) -> None:
    """Make the folder, for its owner only, and that of its pictures.

    Raises:
        StorageError: it can't be made.
    """
    with storing(folder):
        for each in (folder, folder / PICTURES):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)


def now() -> datetime:
    """The time of a kept answer."""
    return datetime.now(UTC)


def _line(cells: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
