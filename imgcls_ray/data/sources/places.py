"""Where data lies: a file or folder on this machine or in a bucket, seen the same way by every kind of source."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

from imgcls_ray.data.sources import listing
from imgcls_ray.data.sources.base import LocalReader, Reader
from imgcls_ray.errors import DataError

Found = tuple[str, int, int]
"""A file: its path relative to the place, bytes, time of change in ns (0 where none is told)."""

MAX_TABLE = 2**30
"""Bytes of the largest table or label list that is read."""


class Place(ABC):
    """A file or folder. Paths below it have `/`; `""` is the place itself."""

    root: str
    """Absolute path, or URI without credentials: for messages, and to tell sources apart."""
    is_folder: bool

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.root.rstrip("/").rpartition("/")[2]

    @property
    @abstractmethod
    def parent(self) -> "Place":
        """The folder that this place lies in."""

    @abstractmethod
    def folders(self, below: str = "") -> list[str]:
        """The names of the folders in `below`, sorted."""

    @abstractmethod
    def names(self, below: str = "") -> list[str]:
        """The names of the files in `below` itself, sorted."""

    @abstractmethod
    def files(self, below: str) -> Iterator[Found]:
        """Every file at any depth below the folder `below`."""

    @abstractmethod
    def look(self, paths: Iterable[str]) -> Iterator[Found | None]:
        """What there is under each path relative to this folder (here also absolute); None where there is no file."""

    @abstractmethod
    def content(self) -> bytes:
        """The bytes of this file, which is a table.

        Raises:
            DataError: it can't be read, or is larger than `MAX_TABLE`.
        """

    @abstractmethod
    def status(self) -> tuple[int, int]:
        """Bytes and time of change in ns of this file."""

    @property
    @abstractmethod
    def reader(self) -> Reader:
        """Opens pictures by their paths relative to this folder."""

    def has(self, path: str) -> bool:
        """Whether there is a file `path` in this folder."""
        return next(iter(self.look([path]))) is not None


class LocalPlace(Place):
    """A path on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = str(path)
        self.is_folder = path.is_dir()

    @classmethod
    def find(cls, path: str) -> "LocalPlace":
        """The place that a user names.

        Raises:
            DataError: there is none, or it can't be opened.
        """
        named = Path(path).expanduser().absolute()
        try:
            if named.exists():
                return cls(named.resolve())
        except OSError as error:
            raise DataError(f"The data folder {named} can't be opened: {error.strerror}; check its path.") from error
        raise DataError(
            f"There is no folder {named}; give the path of a folder that holds one folder per class, of a table or of "
            "an archive."
        )

    def below(self, path: str) -> "LocalPlace":
        """The file or folder `path` in this one."""
        return LocalPlace(self.path / path)

    @property
    def parent(self) -> "LocalPlace":
        return LocalPlace(self.path.parent)

    def folders(self, below: str = "") -> list[str]:
        return listing.folders(self.path / below)

    def names(self, below: str = "") -> list[str]:
        return listing.names(self.path / below)

    def files(self, below: str) -> Iterator[Found]:
        return listing.files(self.path / below, below)

    def look(self, paths: Iterable[str]) -> Iterator[Found | None]:
        for path in paths:
            try:
                # A Path for each would cost as much as the question.
                found = os.stat(path if path.startswith("/") else f"{self.root}/{path}")  # noqa: PTH116
            except (OSError, ValueError):
                yield None
            else:
                yield None if stat.S_ISDIR(found.st_mode) else (path, found.st_size, found.st_mtime_ns)

    def content(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return whole(file.read(MAX_TABLE + 1), self.root)
        except OSError as error:
            raise DataError(f"The table {self.root} can't be read: {error.strerror}; check its permissions.") from error

    def status(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns

    @property
    def reader(self) -> LocalReader:
        return LocalReader(self.root)


def whole(content: bytes, root: str) -> bytes:
    """`content`, if it is no longer than a table may be.

    Raises:
        DataError: it is longer.
    """
    if len(content) > MAX_TABLE:
        raise DataError(f"A table or label list has at most {MAX_TABLE // 2**20} MiB; {root} has more: split it.")
    return content
