"""A folder that is made beside its final name and gets that name when it is complete."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imgcls_ray.data.files import storing


@contextmanager
def workplace(out: Path, name: str) -> Iterator[Path]:
    """A new hidden folder in `out`, gone at the end unless it was renamed."""
    folder = out / f".{name}.{uuid.uuid4().hex[:8]}.tmp"
    with storing(out):
        made = _first_missing(out)
        folder.mkdir(parents=True)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        while made and out.is_relative_to(made) and _is_empty(out):  # only folders that this run made
            out.rmdir()
            out = out.parent
        raise


def _first_missing(path: Path) -> Path | None:
    missing = None
    while not path.exists():
        missing, path = path, path.parent
    return missing


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def publish(folder: Path, final: Path, whole: Callable[[Path], object]) -> None:
    """Give the finished folder its name. A damaged set of that name makes way, a whole one stays."""
    try:
        folder.replace(final)
    except OSError:
        if not final.is_dir():
            raise
        if whole(final):  # another run was faster
            shutil.rmtree(folder)
            return
        aside = folder.with_suffix(".old")
        final.replace(aside)
        folder.replace(final)
        shutil.rmtree(aside)
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)  # the rename itself
    finally:
        os.close(handle)
