"""Writing that is whole or not there."""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imgcls_ray.errors import StorageError

_LONGEST_STEM = 200
"""Bytes of a file's name that its temporary one holds: 255 are a name's most, and it must not be the longer one."""
_SLICE = 1 << 20
"""Bytes hashed and written at a time: what the one has just read is still in the cache for the other."""


@dataclass(frozen=True)
class Written:
    """What a file holds that was just written."""

    bytes: int
    sha256: str
    """Of the whole file, in hex."""


def write_atomic(path: Path, *parts: bytes | memoryview, sync: bool = True) -> None:
    """Write `parts` under a temporary name in the same folder, fsync, and rename: readers see all of it or nothing.

    Without `sync` that holds when a process is killed, not when the machine stops.

    Raises:
        OSError: as the file system gives it; the temporary file is gone then.
    """
    with replacing(path, sync) as file:
        for part in parts:
            file.write(part)


def write_hashed(path: Path, parts: Iterable[bytes | memoryview], sync: bool = True) -> Written:
    """As `write_atomic`, with the digest taken from `parts` on their way: nothing is read back or held.

    Args:
        path: the file; its folder exists.
        parts: bytes and one-dimensional views of bytes; each is asked for when the one before it is written.

    Raises:
        OSError: as the file system gives it; the temporary file is gone then.
    """
    size, sha256 = 0, hashlib.sha256()
    with replacing(path, sync) as file:
        for part in parts:
            view = memoryview(part)
            for start in range(0, len(view), _SLICE):
                piece = view[start : start + _SLICE]
                sha256.update(piece)
                file.write(piece)
            size += len(view)
    return Written(size, sha256.hexdigest())


def force(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, are on the disk.

    Raises:
        OSError: as the file system gives it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_beside(path: Path) -> Path:
    """A hidden name in the same folder that no other process uses. Of a long name only the beginning is in it."""
    beginning = os.fsencode(path.name)[:_LONGEST_STEM].decode(errors="ignore")
    return path.with_name(f".{beginning}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def replacing(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """A new file under a temporary name beside `path`, which gets that name at the end, unless something is raised."""
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_FLAGS = "--out, or --storage where the command has that"


def storage_error(path: Path, error: OSError) -> StorageError:
    """The sentence for a file system that refuses to write below `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"The disk of {path} is full; free some space or choose another place with {_FLAGS}.")
    reason = error.strerror or str(error)
    return StorageError(
        f"Results go to a folder that this program can write; {path} can't be written ({reason}): mend that or choose "
        f"another place with {_FLAGS}."
    )


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError of the work inside into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def check_output(file: Path, what: str, *suffixes: str) -> None:
    """Refuse a place for what a program writes, before it begins.

    The name has to tell the kind: else an option without its file would take the first of the pictures that follow it,
    and write over it.

    Raises:
        StorageError: the name ends otherwise, it is a folder, or its folder does not exist.
    """
    if file.suffix.lower() not in suffixes or file.is_dir() or not file.parent.is_dir():
        raise StorageError(
            f"{what} is written to a file whose name ends with {' or '.join(suffixes)}, in a folder that exists; "
            f"received '{file}'."
        )


def first_missing(path: Path) -> Path | None:
    """The topmost folder that is not there yet on the way to `path`; None where all are."""
    missing = None
    while not path.exists():
        missing, path = path, path.parent
    return missing


def remove_empty(folder: Path, made: Path | None) -> None:
    """Remove `folder` and those above it that this run made, as far as they are empty."""
    while made and folder.is_relative_to(made) and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
