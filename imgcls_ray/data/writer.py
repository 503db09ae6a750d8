"""The second pass: one task gathers the pixels of one shard from the spool and writes it. No array leaves it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from imgcls_ray.data import spool
from imgcls_ray.data.files import Written, write_atomic
from imgcls_ray.data.index import digest
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.shards import Encoding, shard_format

_COLUMNS = ("key", "label", "sha256", "block", "row")
_DONE = pa.schema([("stem", pa.string()), ("errno", pa.int64()), ("error", pa.string())])


@dataclass(frozen=True)
class ShardKind:
    """What all shards of a set have in common."""

    ops: PixelOps
    labels: Labels
    format: str
    encoding: Encoding

    @property
    def suffix(self) -> str:
        """Of the shards' file names."""
        return shard_format(self.format).suffix


def block_of(stem: str, rows: list[tuple[str, int, str, str, int]]) -> pa.Table:
    """The table that `write_block` takes: key, label number, sha256, spool block and row of each picture."""
    columns = {name: list(column) for name, column in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
    return pa.table({"stem": [stem] * len(rows), **columns})


def write_block(block: pa.Table, kind: ShardKind, folder: str, work: str) -> pa.Table:
    """One task. A file system that refuses is told in `errno` and `error`, so that the driver can word it."""
    stem = block["stem"][0].as_py()
    done: dict[str, Any] = {"stem": stem}
    try:
        places = list(zip(block["block"].to_pylist(), block["row"].to_pylist(), strict=True))
        images = spool.gather(Path(work), places, kind.ops.shape)
        written = shard_format(kind.format).write(
            Path(folder, stem + kind.suffix),
            images,
            np.array(block["label"].to_pylist(), np.int64),
            tuple(block["key"].to_pylist()),
            kind.labels.names,
            kind.encoding,
            sync=False,  # the driver does that while other shards are being written
        )
        note = {"content": _content(block, kind), "bytes": written.bytes, "sha256": written.sha256}
        write_atomic(_note(Path(work), stem), json.dumps(note).encode(), sync=False)
    except OSError as error:
        done.update(errno=error.errno or 0, error=error.strerror or str(error))
    return pa.Table.from_pylist([done], schema=_DONE)


def finished(block: pa.Table, kind: ShardKind, folder: Path, work: Path, check: bool = False) -> Written | None:
    """The shard that `block` asks for, if it is there; with `check` its bytes are read and compared."""
    stem = block["stem"][0].as_py()
    file = folder / (stem + kind.suffix)
    try:
        note = json.loads(_note(work, stem).read_text())
        written = Written(note["bytes"], note["sha256"])
        same = note["content"] == _content(block, kind) and file.stat().st_size == written.bytes
        return written if same and (not check or digest(file) == written.sha256) else None
    except (OSError, ValueError, KeyError, TypeError):  # not there, or cut by a crash
        return None


def note_replaced(work: Path, stem: str) -> None:
    """Remember a shard of an earlier state that the next index will not list."""
    write_atomic(_note(work, stem), b"{}")


def noted(work: Path) -> list[str]:
    """The stems of all shards that were finished or replaced here."""
    return [file.name.removesuffix(".note.json") for file in sorted(work.glob("*.note.json"))]


def _note(work: Path, stem: str) -> Path:
    return work / f"{stem}.note.json"


def _content(block: pa.Table, kind: ShardKind) -> str:
    """Digest of what a shard is to hold, whoever scanned it: equal ones give equal files."""
    columns = [block[name].to_pylist() for name in ("key", "label", "sha256")]
    document = json.dumps([kind.format, kind.encoding, kind.ops.to_json(), kind.labels.sha256, columns])
    return hashlib.sha256(document.encode()).hexdigest()
