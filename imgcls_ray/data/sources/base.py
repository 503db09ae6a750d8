"""What every kind of source gives: items, and a reader that opens them wherever a task runs."""

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from imgcls_ray.data.held import Held
from imgcls_ray.data.labels import Labels

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

HEAD = 32
"""Bytes that a reader's `check` is shown."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One picture that the source names."""

    path: str
    """Relative to the root, with `/`, or a whole URI; unique within the source."""
    label: str
    """Empty where the source names none that counts; then `refused` says why."""
    split: Split | None
    """None where the source does not say, so that preprocess decides."""
    bytes: int = 0
    mtime_ns: int = 0
    """Of its last change; with the size it tells whether a file is still the one that was seen."""
    group: str | None = None
    """Pictures of one group (a patient, a film, a scene) stay in one split."""
    refused: str | None = None
    """Why the source itself leaves it out (`unlabelled`, `unknown label (x)`); it is counted, never opened."""


class Reader(ABC):
    """Opens the pictures of a source. Small, and picklable by the cluster: a task gets one."""

    @abstractmethod
    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        """The encoded bytes of a picture (JPEG, PNG, ...).

        Args:
            path: an item's path.
            check: called with the first `HEAD` bytes before the rest is read; an ImageError of it ends the reading.

        Raises:
            OSError: it can't be opened or read; `strerror` says why.
        """


@dataclass(frozen=True)
class LocalReader(Reader):
    """Files below a folder; an absolute path is opened as it is."""

    root: str

    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        """See Reader."""
        with open(Path(self.root, path), "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            head = file.read(HEAD)
            if check:
                check(head)
            return head + file.read()


def _without_waiting(path: str, flags: int) -> int:
    """As `os.open`; a pipe is opened at once, not when somebody writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


@dataclass(frozen=True)
class Source:
    """All pictures of a data set, sorted by path."""

    name: str
    """The folder's or file's name, with characters outside A-Z a-z 0-9 . _ - replaced by `-`."""
    items: tuple[SourceItem, ...]
    root: str
    """Absolute folder or file, or URI."""
    reader: Reader
    labels: Labels
    """The classes, in the order of a label list where one is given, else sorted."""
    held: Held | None = field(default=None, compare=False, repr=False)
    """Keeps in its place what was unpacked for it."""


def identity(path: str) -> tuple[str, int, int, int]:
    """What a cache of open files goes by: path, process, inode and time of change.

    Raises:
        OSError: there is no such file.
    """
    found = Path(path).stat()
    return path, os.getpid(), found.st_ino, found.st_mtime_ns
