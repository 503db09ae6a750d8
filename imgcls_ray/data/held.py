"""Folders of unpacked archives under locks: one program makes them at a time, and none takes one away that is read."""

import fcntl
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgcls_ray.data.workplace import wait_for_turn


class Held:
    """A folder that `discard` leaves alone while this object lives, in this process or another one."""

    def __init__(self, handle: int) -> None:
        """`handle` is an open folder with a shared lock, which is this object's from now on."""
        self.release = weakref.finalize(self, os.close, handle)
        """Let go of it; once is enough, twice does no harm."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """A copy, in another process perhaps, holds nothing: it comes as None."""
        return type(None), ()

    @classmethod
    def find(cls, folder: Path) -> "Held | None":
        """Hold `folder`; None where there is none."""
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        held = cls(handle)
        fcntl.flock(handle, fcntl.LOCK_SH)
        return held if _is_there(handle, folder) else None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """`folder`, made if it is not there, for this program alone: another one that unpacks there is waited for.

    Raises:
        OSError: it can't be made or opened.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            wait_for_turn(handle, f"Another run is unpacking into {folder}")
            if _is_there(handle, folder):  # else `discard` was there first
                yield
                return
        finally:
            os.close(handle)


def discard(folder: Path) -> None:
    """Remove what is in `folder` and nobody holds, and `folder` itself once it is empty. Who unpacks there at this
    moment, or reads what was unpacked, discards it later.

    Raises:
        OSError: as the file system gives it.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        if not _locked(handle):
            return
        for entry in list(folder.iterdir()):
            if entry.is_dir():
                _remove(entry)
            else:  # an archive that a killed run had fetched
                entry.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        if _locked(handle):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(handle: int, folder: Path) -> bool:
    """Whether an open folder still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False
