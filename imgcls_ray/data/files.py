"""Writing that is whole or not there."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgcls_ray.errors import StorageError


def write_atomic(path: Path, *parts: bytes | memoryview, sync: bool = True) -> None:
    """Write `parts` under a temporary name in the same folder, fsync, and rename: readers see all of it or nothing.

    Without `sync` that holds when a process is killed, not when the machine stops.

    Raises:
        OSError: as the file system gives it; the temporary file is gone then.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def storage_error(path: Path, error: OSError) -> StorageError:
    """The sentence for a file system that refuses to write below `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"The storage at {path} is full; free some space or choose another place with --storage.")
    reason = error.strerror or str(error)
    return StorageError(
        f"The storage must be a folder this program can write; {path} can't be written ({reason}): "
        "mend that or choose another place with --storage."
    )


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError of the work inside into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error
