"""The records of TFRecord files, ours and those of others, plain and compressed, with their checksums.

A record is: length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data, little-endian
(tensorflow/core/lib/io/record_writer.h; the mask is that of crc32c.h).
"""

import gzip
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple, cast

from google_crc32c import value as crc32c

from imgcls_ray.errors import DataError

RECORD_LIMIT = 1 << 30
"""Bytes above which a record is refused: a compressed file of a few kB may claim any length."""

_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")


class Record(NamedTuple):
    """One record."""

    offset: int
    """Where it begins: bytes into the file, of a compressed one into what it unpacks to."""
    data: bytes


def framed(records: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a TFRecord file that holds `records`, piece by piece."""
    for record in records:
        length = struct.pack("<Q", len(record))
        yield length + _FOOT.pack(_masked(length))
        yield record
        yield _FOOT.pack(_masked(record))


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file, one at a time; gzip is told by the bytes. A cut between two records can't be seen.

    Raises:
        DataError: the file can't be read, is no TFRecord file, or a checksum does not fit; the text says where.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(path))
        except OSError as error:
            raise _refused(path, 0, error.strerror or error) from error
        yield from _checked(path, file, 0)


def read_record(path: Path, offset: int) -> bytes:
    """The record that begins at `offset`, as `read_records` gave it. In a compressed file all before it is unpacked.

    Raises:
        DataError: as `read_records`, and if no record begins there.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(path))
            file.seek(offset)
        except (OSError, EOFError, zlib.error) as error:
            raise _refused(path, offset, error) from error
        for record in _checked(path, file, offset):
            return record.data
    raise _refused(path, offset, "the file ends there")


def scan(file: IO[bytes]) -> Iterator[Record]:
    """The records of an open file, from where it stands.

    Raises:
        ValueError: a record is cut off, too long, or its checksum does not fit.
        OSError, EOFError, zlib.error: as the file gives them.
    """
    offset = file.tell()
    while (size := _next_size(file)) is not None:
        data, foot = file.read(size), file.read(_FOOT.size)
        if len(data) < size or len(foot) < _FOOT.size:
            raise ValueError("a record is cut off")
        if _masked(data) != _FOOT.unpack(foot)[0]:
            raise ValueError("a checksum does not fit")
        yield Record(offset, data)
        offset += _HEAD.size + size + _FOOT.size


def count(file: IO[bytes]) -> int:
    """How many records follow in an open file, by their lengths only; it stands where it stood then.

    Raises:
        ValueError: a length's checksum does not fit.
        OSError: as the file gives it.
    """
    start, number = file.tell(), 0
    while (size := _next_size(file)) is not None:
        file.seek(size + _FOOT.size, 1)
        number += 1
    file.seek(start)
    return number


def _next_size(file: IO[bytes]) -> int | None:
    """The length of the record that begins here, None at the end of the file."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise ValueError("a record is cut off")
    if not _is_head(head):
        raise ValueError("it is no TFRecord file, or a checksum does not fit")
    size: int = _HEAD.unpack(head)[0]
    if size > RECORD_LIMIT:
        raise ValueError(f"a record of {size} bytes is longer than {RECORD_LIMIT}")
    return size


def _is_head(head: bytes) -> bool:
    return len(head) == _HEAD.size and _masked(head[:8]) == _HEAD.unpack(head)[1]


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def opened(path: Path) -> IO[bytes]:
    """A file of records as it was before it was compressed, which its bytes tell and not its name."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    # A record of 560 kB begins like gzip does: only its checksum tells.
    compressed = head[:2] == b"\x1f\x8b" and not _is_head(head)
    return cast(IO[bytes], gzip.open(path)) if compressed else path.open("rb")


def _checked(path: Path, file: IO[bytes], offset: int) -> Iterator[Record]:
    records = scan(file)
    while True:
        try:
            record = next(records, None)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise _refused(path, offset, error) from error
        if record is None:
            return
        yield record
        offset = record.offset + _HEAD.size + len(record.data) + _FOOT.size


def _refused(path: Path, offset: int, reason: object) -> DataError:
    return DataError(
        f"A TFRecord file must be whole; {path} can't be read from byte {offset} on ({reason}): copy or make it again."
    )
