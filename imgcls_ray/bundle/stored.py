"""A member of a ZIP archive that is not packed, as a file of its own."""

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_LOCAL = struct.Struct("<26xHH")
"""What precedes a member; the last four bytes are the lengths of its name and of more fields, which follow (APPNOTE
4.3.7)."""


class _Part(io.RawIOBase):
    """`size` bytes of a file from `start` on."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file, self._start, self._size, self._place = file, start, size, 0

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._place)
        data = self._file.read(max(0, min(len(view), self._size - self._place)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        self._place = place + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def stored(archive: zipfile.ZipFile, name: str) -> Iterator[io.RawIOBase]:
    """The member `name`, to be read in any order.

    Python 3.11's own reader goes back by reading all from the start: 100 s for EfficientNetV2 L's weights, whose HDF5
    file has 1,400 datasets.

    Raises:
        KeyError: there is no such member.
        zipfile.BadZipFile: what stands before it does not fit it, or it is packed.
    """
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise zipfile.BadZipFile(f"{name} is packed")
    with archive.open(member):
        pass  # zipfile's own checks of what stands before it
    if archive.filename is None:
        raise zipfile.BadZipFile("the archive is no file")
    with Path(archive.filename).open("rb") as file:
        file.seek(member.header_offset)
        lengths = _LOCAL.unpack(file.read(_LOCAL.size))
        yield _Part(file, member.header_offset + _LOCAL.size + sum(lengths), member.file_size)
