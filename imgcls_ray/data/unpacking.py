"""Unpacking of archives that nobody vouches for: whole or not at all, never outside, never without bounds."""

import errno
import gzip
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from calendar import timegm
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from imgcls_ray.data.files import temporary_beside
from imgcls_ray.errors import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

MAX_BYTES = 1_000_000_000_000
"""Of all files together."""
MAX_FILES = 5_000_000
MAX_RATIO = 100
"""Unpacked bytes for each packed one: deflate makes at most 1,032 of one, pictures hardly more than one."""
ALWAYS_ALLOWED = 100_000_000
"""Unpacked bytes below which the ratio does not count."""
MAX_PIECE = 4 * 2**20
"""Bytes of one tar header: its extended ones hold names, and tarfile keeps them in memory."""
_CHUNK = 2**20
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}(\.tmp|" + "|".join(map(re.escape, SUFFIXES)) + ")")
"""Names of what is unpacked or fetched at the moment."""
_UTF8 = 0x800
"""Flag of an entry of a zip file: its name is in UTF-8 (else in cp437)."""


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: str
    """`file`, `folder`, or what else it is."""
    mtime: float


def unpack(archive: Path, target: Path, shown: str) -> None:
    """Unpack a zip or tar file into the new folder `target`, which appears when it is complete.

    Args:
        archive: the file; its name tells the format.
        target: where it is unpacked; its folder must be there.
        shown: what messages call the archive.

    Raises:
        DataError: it is broken or encrypted, is larger than allowed, or holds links or names that lead outside.
        OSError: the file system refuses (no space, no permission).
    """
    work = temporary_beside(target)
    work.mkdir()
    limit = min(MAX_BYTES, max(ALWAYS_ALLOWED, MAX_RATIO * archive.stat().st_size))
    try:
        with ExitStack() as stack:
            with _reading():
                opened = stack.enter_context(_opened(archive, limit))
            _write(opened, work, limit)
        os.sync()  # a power cut after the rename would leave empty files in a folder that counts as complete
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    except _Refused as error:
        raise DataError(f"An archive must be whole and hold plain files only; {shown} {error}: mend it.") from error
    except _TooMuch:
        raise DataError(
            f"An archive may grow to {MAX_RATIO} times its size when it is unpacked, to {ALWAYS_ALLOWED // 10**6} MB "
            f"if it is small, and to {MAX_BYTES // 10**9} GB at most; {shown} holds more than {limit:,} bytes: "
            "unpack it yourself."
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed unpacking left in `folder`, in which none is under way."""
    for entry in folder.iterdir():
        if _LEFTOVER.fullmatch(entry.name):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def check_room(folder: Path, size: int) -> None:
    """Whether `size` bytes fit onto the disk of `folder`.

    Raises:
        OSError: they don't.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Archive(ABC):
    @abstractmethod
    def next(self) -> _Entry | None:
        """The next entry; None after the last."""

    @abstractmethod
    def open(self) -> IO[bytes]:
        """The content of the entry that came last."""


class _Zip(_Archive):
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._infos = iter(file.infolist())

    def next(self) -> _Entry | None:
        info = next(self._infos, None)
        if info is None:
            return None
        self._last = info
        mode = stat.S_IFMT(info.external_attr >> 16)
        kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "a link"}
        kind = "folder" if info.is_dir() else kinds.get(mode, "a device")
        if info.flag_bits & 1:
            kind = "an encrypted file"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            kind = "a file that is packed in another way than deflate"
        return _Entry(_name(info), kind, _seconds(info.date_time))

    def open(self) -> IO[bytes]:
        return self._file.open(self._last)


def _name(info: zipfile.ZipInfo) -> str:
    """The name of an entry: without the flag for UTF-8, which macOS leaves out, it is that only if it can be."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


class _Tar(_Archive):
    def __init__(self, content: "_Forward") -> None:
        self._content = content
        self._file = tarfile.open(fileobj=content, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115

    def next(self) -> _Entry | None:
        info = self._file.next()
        if info is None:
            if any(self._content.last) or len(self._content.last) < tarfile.BLOCKSIZE:
                # tarfile takes a cut or damaged header for the end.
                raise tarfile.ReadError("it is cut off or damaged")
            self._content.drain()
            return None
        self._last = info
        self._file.members = []  # which would keep every entry
        kind = "a link" if info.issym() or info.islnk() else "a device"
        if info.isfile():
            kind = "file" if info.sparse is None else "a sparse file"
        return _Entry(info.name, "folder" if info.isdir() else kind, info.mtime)

    def open(self) -> IO[bytes]:
        content = self._file.extractfile(self._last)
        if content is None:
            raise tarfile.ReadError("an entry has no content")
        return content


class _Forward:
    """What tarfile reads from: forwards only, in small pieces, and never more than `limit` bytes.

    A header may claim any size, also a negative one, and tarfile believes it.
    """

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._limit, self._place = file, limit, 0
        self.last = b""
        """What was read last."""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_PIECE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._file.read(size)
        self._place += len(self.last)
        if self._place > self._limit:
            raise _TooMuch
        return self.last

    def tell(self) -> int:
        return self._place

    def seekable(self) -> bool:
        return True

    def seek(self, place: int) -> int:
        if place < self._place:
            raise tarfile.ReadError("a header that leads back")
        while place > self._place:
            if not self.read(min(_CHUNK, place - self._place)):
                raise tarfile.ReadError("it is cut off")
        return place

    def drain(self) -> None:
        """Read to the end, where gzip has its checksum."""
        while self.read(_CHUNK):
            continue


class _TooMuch(Exception):
    """More bytes than an archive may hold."""


@contextmanager
def _opened(path: Path, limit: int) -> Iterator[_Archive]:
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(b"PK"):
            with zipfile.ZipFile(file) as opened:
                yield _Zip(opened)
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.open(file) as unzipped:
                # Room for headers and padding, of which every file has some.
                yield _Tar(_Forward(unzipped, 2 * limit))  # type: ignore[arg-type]
        else:
            yield _Tar(_Forward(file, 2 * limit))


def _write(archive: _Archive, work: Path, limit: int) -> None:
    """Write all entries below `work`.

    Raises:
        _Refused: an entry breaks a rule.
        _TooMuch: there are more bytes than `limit`.
        OSError: the file system refuses.
    """
    left, files = limit, 0
    while True:
        with _reading():
            entry = archive.next()
        if entry is None:
            return
        files += 1
        if files > MAX_FILES:
            raise _Refused(f"holds more than {MAX_FILES:,} entries")
        path = work.joinpath(*_parts(entry))
        if entry.kind == "folder":
            with _naming(entry):
                path.mkdir(parents=True, exist_ok=True)
            continue
        with _naming(entry):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        with file:
            with _reading():
                content = archive.open()
            with content:
                while True:
                    with _reading():
                        part = content.read(_CHUNK)
                    if not part:
                        break
                    left -= len(part)
                    if left < 0:
                        raise _TooMuch
                    file.write(part)
        # A later archive with some more pictures finds the earlier ones unchanged.
        mtime = min(max(entry.mtime, 0), 2**32)
        os.utime(path, (mtime, mtime))


def _parts(entry: _Entry) -> tuple[str, ...]:
    name = entry.name.replace("\\", "/")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
    if name.startswith("/") or drive or ".." in parts:
        raise _Refused(f"holds '{_short(entry.name)}', a name that leads out of its folder")
    if entry.kind not in ("file", "folder"):
        raise _Refused(f"holds '{_short(entry.name)}', {entry.kind}")
    if not parts and entry.kind == "file":
        raise _Refused("holds a file without a name")
    return parts


def _short(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()[:200].replace("\n", " ")


def _seconds(date: tuple[int, ...]) -> float:
    try:
        return timegm((*date, 0, 0, 0))
    except ValueError:
        return 0


class _Refused(Exception):
    """What is wrong with an archive."""


@contextmanager
def _reading() -> Iterator[None]:
    """Tell of everything that a broken archive does to the standard library."""
    try:
        yield
    except _READING as error:
        raise _Refused(f"is broken ({str(error)[:100] or type(error).__name__})") from error


_READING = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error),
    *(ValueError, KeyError, IndexError, OverflowError, RuntimeError),
)


@contextmanager
def _naming(entry: _Entry) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise _Refused(f"holds '{_short(entry.name)}' twice") from None
    except (UnicodeError, ValueError):
        raise _Refused(f"holds '{_short(entry.name)}', which is no name for a file") from None
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
            raise
        raise _Refused(f"holds '{_short(entry.name)}', which is no name for a file") from error
