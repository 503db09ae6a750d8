"""Pictures brought to their places, each whole or not there, none written over."""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.data.arrange.settings import Way
from imgcls_ray.data.files import force
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.sources import LocalReader, Reader
from imgcls_ray.errors import StorageError

CHANGED = "changed while it was read"
_THREADS = 8
_AT_ONCE = 256
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)


@dataclass(frozen=True)
class Mover:
    """Brings pictures of `reader` into `folder`; unfinished files stand in `work`, on the same file system."""

    reader: Reader
    folder: Path
    work: Path
    way: Way

    def place_all(self, rows: Sequence[ManifestRow]) -> Iterator[tuple[ManifestRow, str | None]]:
        """Each row, as its picture is in its place, with why it is not there: it changed, or can't be read any more.

        Raises:
            OSError: the folder can't be written.
        """
        parents = {(self.folder / (row.shard or "")).parent for row in rows}
        for parent in parents:
            parent.mkdir(parents=True, exist_ok=True)
        if self.way == "move":  # a new folder that a power cut takes would take the pictures along
            for folder in {self.folder, *(parent.parent for parent in parents)}:
                force(folder)
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                yield from zip(part, pool.map(self._place, part), strict=True)

    def _place(self, row: ManifestRow) -> str | None:
        target = self.folder / (row.shard or "")
        try:
            if self.way != "copy":
                source = Path(self.reader.root, row.path) if isinstance(self.reader, LocalReader) else Path(row.path)
                found = source.stat()
                if (found.st_size, found.st_mtime_ns) != (row.bytes, row.mtime_ns):
                    return CHANGED
            else:
                data = self.reader.read(row.path)
                if hashlib.sha256(data).hexdigest() != row.sha256:
                    return CHANGED
        except OSError as error:
            return f"can't be read ({(error.strerror or str(error)).lower()})"
        if self.way == "move" and os.path.lexists(target):
            return _finish(source, target, row.sha256 or "", self.work)
        if os.path.lexists(target):  # there was none a moment ago
            raise StorageError(f"A folder of split pictures is written by one program at a time; {target} is new.")
        if self.way == "copy":
            _write(data, target, self.work)
        elif self.way == "link":
            _link(source.resolve(), target)
        else:
            _move(source, target, self.work)
        return None


def _write(data: bytes, target: Path, work: Path, sync: bool = False) -> None:
    unfinished = work / uuid.uuid4().hex
    with unfinished.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    unfinished.rename(target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        target.symlink_to(source)


def _move(source: Path, target: Path, work: Path) -> None:
    """Rename; from another file system, or for a link, copy it and remove it when the copy is on the disk."""
    if not source.is_symlink():
        try:
            source.rename(target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    _write(source.read_bytes(), target, work, sync=True)
    _remove(source, target)


def _finish(source: Path, target: Path, sha256: str, work: Path) -> str | None:
    """Move what has a copy or a link in its place already: from a killed move, or an earlier run that moved nothing."""
    if target.is_symlink():
        _write(source.read_bytes(), target, work, sync=True)
    with target.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            return "another picture stands in its place"
    _remove(source, target)
    return None


def _remove(source: Path, target: Path) -> None:
    """Remove a picture when its copy is on the disk, and the copy's name too."""
    force(target)
    force(target.parent)
    source.unlink()
