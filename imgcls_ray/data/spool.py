"""The spool: pixels and findings of the first pass on disk, until the second pass has put them into shards.

A block is two files: NAME.u8, raw pixels one picture after another, and NAME.parquet, a row per file looked at. The
second is written last, so a block whose rows are there is complete.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_ray.data.files import replacing, write_atomic
from imgcls_ray.errors import StorageError

_SINCE, _SIZE = b"boot", b"bytes"
Raw = bytes  # a field has that name
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Scanned:
    """What the bytes of one file told; what was not learned before it was refused is None."""

    path: str
    block: str
    bytes: int | None = None
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    phash: str | None = None
    signature: Raw | None = None
    reason: str | None = None
    """Why it is refused."""
    row: int | None = None
    """Place of its pixels in the block."""


_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("block", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("phash", pa.string()),
        ("signature", pa.binary()),
        ("reason", pa.string()),
        ("row", pa.int32()),
    ]
)


def pixels_file(folder: Path, block: str) -> Path:
    """The file with a block's pixels."""
    return folder / f"{block}.u8"


def write(folder: Path, block: str, found: Iterable[tuple[dict[str, Any], Pixels | None]]) -> None:
    """Write a block: each file's findings (fields of `Scanned`), and its pixels uint8 (H, W, C) where they are kept.

    Nothing is forced to the disk: a block counts as long as the machine has not been started anew since.

    Raises:
        OSError: as the file system gives it.
    """
    rows: list[dict[str, Any]] = []
    kept = 0
    with replacing(pixels_file(folder, block), sync=False) as file:
        for one, pixels in found:
            if pixels is not None:
                file.write(pixels.reshape(-1).data)
                one["row"] = kept
                kept += 1
            rows.append(one | {"block": block})
        size = file.tell()
    written = {_SINCE: _boot(), _SIZE: str(size).encode()}
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata(written))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_atomic(folder / f"{block}.parquet", sink.getvalue(), sync=False)


def read(folder: Path, block: str, check: bool = False) -> list[Scanned] | None:
    """The findings of a block; None where it is not there or, with `check`, may not be whole."""
    file = folder / f"{block}.parquet"
    if not file.is_file():
        return None
    try:
        table = pq.read_table(file)
        written = table.schema.metadata
        size = pixels_file(folder, block).stat().st_size
        if check and (written[_SINCE], int(written[_SIZE])) != (_boot(), size):
            return None
        return [Scanned(**row) for row in table.to_pylist()]
    except (OSError, pa.ArrowException, KeyError, TypeError):  # damaged by a crash: it is made again
        return None


def gather(folder: Path, places: Sequence[tuple[str, int]], shape: tuple[int, int, int]) -> list[Pixels]:
    """The pictures uint8 `shape` at `places` (block and row), as views of the files: no copy is made.

    Raises:
        OSError: a block is missing or cut.
    """
    blocks = {}
    for block in {block for block, _ in places}:
        file = pixels_file(folder, block)
        rows = file.stat().st_size // math.prod(shape)
        blocks[block] = np.memmap(file, np.uint8, "r", shape=(rows, *shape)) if rows else np.empty((0, *shape))
    try:
        return [blocks[block][row] for block, row in places]
    except IndexError as error:
        raise OSError("a block of the spool is cut off") from error


def elsewhere(folder: Path) -> StorageError:
    """The error for a file that a task wrote and this process does not see."""
    return StorageError(
        f"The storage must be one folder that every node sees; {folder} is another one on some node: "
        "choose a shared folder."
    )


def _boot() -> bytes:
    """What the system calls the time since it was started: a crash may lose what was not forced to the disk."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:  # not Linux: a crash is then not told from a kill
        return b""
