"""The folder of a preprocessed set while it is being made: one maker at a time, and a place for what is unfinished."""

import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgcls_ray.data.files import first_missing, remove_empty, storing
from imgcls_ray.errors import ImgclsError

WORK = ".work"
"""Holds the spool and a note on each finished shard; it is there only while a set is unfinished."""

_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_POLL = 0.2  # seconds


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """`folder/.work`, for this process alone: another one that makes the same set is waited for.

    After an error of this program, which a second run would meet again, nothing of this run stays. After a kill or an
    interruption it stays, so that the next run goes on.

    Raises:
        StorageError: `folder` can't be made or written.
    """
    made = first_missing(folder)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    work = folder / WORK
    with _alone(folder):
        try:
            with storing(folder):
                begun = work.exists()
                work.mkdir(exist_ok=True)
                _clean(folder)
                _clean(work)
            yield work
            shutil.rmtree(work)
        except ImgclsError:
            if not begun:
                shutil.rmtree(work, ignore_errors=True)
                remove_empty(folder, made)
            raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it whatever ends this process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        wait_for_turn(handle, f"Another run is preparing {folder}")
        yield
    finally:
        os.close(handle)


def wait_for_turn(handle: int, what: str) -> None:
    """Wait for the lock of an open folder; `what` is said once if another program has it."""
    waited = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not waited:
                logging.getLogger(__name__).warning("%s; waiting for it.", what)
            waited = True
            time.sleep(_POLL)


def _clean(folder: Path) -> None:
    """Remove what a killed writer of ours left under a temporary name."""
    for entry in folder.iterdir():
        if _HALF_WRITTEN.fullmatch(entry.name) and entry.is_file():
            entry.unlink(missing_ok=True)
