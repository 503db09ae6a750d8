"""Folders and files below a path, with the leftovers of operating systems taken out."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imgcls_ray.errors import DataError

_NO_PICTURES = {"thumbs.db", "desktop.ini", "__macosx"}  # left by Windows and by macOS's zip


def counts(name: str) -> bool:
    """Whether a file or folder of this name is looked at: hidden ones and leftovers are not."""
    return not name.startswith(".") and name.lower() not in _NO_PICTURES


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with _refusing(folder), os.scandir(folder) as entries:
        found = [entry for entry in entries if counts(entry.name)]
    return sorted(found, key=lambda entry: entry.name)


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The data folder must be readable; {folder} can't be listed ({error.strerror}): check its permissions."
        ) from error


def _says(question: Callable[[], bool]) -> bool:
    """The answer to an entry's `is_dir` or `is_file`; no, where it is a link that can't be followed."""
    try:
        return question()
    except OSError:
        return False


def folders(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted; links to folders count.

    Raises:
        DataError: `folder` can't be listed.
    """
    return [entry.name for entry in _listed(folder) if _says(entry.is_dir)]


def names(folder: Path) -> list[str]:
    """The names of the files in `folder` itself, sorted.

    Raises:
        DataError: `folder` can't be listed.
    """
    return [entry.name for entry in _listed(folder) if _says(entry.is_file)]


def files(folder: Path, relative: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[tuple[str, int, int]]:
    """Every regular file below `folder`: (`relative` + its path below, bytes, time of change in ns).

    Links to folders are followed, except to a folder that the walk is inside of (`above`: device and inode of each).
    A file that can't be looked at, such as a link to nowhere, to itself or into a folder that is closed to us, comes
    with zeros: it is refused when it is opened.

    Raises:
        DataError: a folder can't be listed.
    """
    with _refusing(folder):
        status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in _listed(folder):
        path = f"{relative}/{entry.name}"
        if _says(entry.is_dir):
            yield from files(folder / entry.name, path, (*above, here))
        elif entry.is_symlink() or _says(entry.is_file):
            try:
                found = entry.stat()
                yield path, found.st_size, found.st_mtime_ns
            except OSError:
                yield path, 0, 0


def printable(path: str) -> str:
    """The path as valid Unicode; a name in another encoding can't be opened later, and is then counted as rejected."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")
