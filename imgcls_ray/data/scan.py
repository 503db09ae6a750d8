"""The first pass: each file is read, judged and decoded once; what was learned and its pixels go into a spool."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from imgcls_ray.data import spool
from imgcls_ray.data.files import storage_error
from imgcls_ray.data.header import look, sniff
from imgcls_ray.data.pixels import DECODER_VERSION, PixelOps, Pixels, fitted, open_picture
from imgcls_ray.data.similarity import look_of
from imgcls_ray.data.sources import Reader, SourceItem
from imgcls_ray.data.spool import Scanned
from imgcls_ray.data.tasks import map_blocks
from imgcls_ray.errors import ImageError

_FILES_PER_BLOCK = 512
_BLOCK_BYTES = 128_000_000
_WANTED_BLOCKS = 32
_FEWEST_FILES = 16

_DONE = pa.schema([("block", pa.string()), ("errno", pa.int64()), ("error", pa.string())])


@dataclass(frozen=True)
class Recipe:
    """How files are looked at: an equal recipe and equal files give an equal block."""

    ops: PixelOps
    looks: bool
    """Whether each picture's perceptual hash is taken."""
    pixels: bool = True
    """Whether the pixels are kept."""


def scan(items: Sequence[SourceItem], reader: Reader, recipe: Recipe, folder: Path) -> Generator[list[Scanned]]:
    """Look at every item; yields what was found, a block at a time, in any order. Blocks of an earlier run are used.
    Close it where it may be left early.

    Ray must be initialised; `folder` exists and is one folder that every node sees.

    Raises:
        StorageError: `folder` can't be written or is full.
    """
    blocks = dict(_blocks(items, recipe))
    for name in list(blocks):
        found = spool.read(folder, name, check=True)
        if found is not None:
            del blocks[name]
            yield found
    tables = [
        pa.table({"block": [name] * len(part), "path": [item.path for item in part]}) for name, part in blocks.items()
    ]
    if not tables:
        return
    arguments = {"reader": reader, "recipe": recipe, "folder": str(folder)}
    with closing(map_blocks(tables, scan_block, arguments)) as results:
        for table in results:
            for done in table.to_pylist():
                if done["error"]:
                    raise storage_error(folder, OSError(done["errno"], done["error"]))
                found = spool.read(folder, done["block"])
                if found is None:
                    raise spool.elsewhere(folder)
                yield found


def _blocks(items: Sequence[SourceItem], recipe: Recipe) -> Iterator[tuple[str, Sequence[SourceItem]]]:
    """Neighbours in the order of the source, named by what they hold and what is done to them."""
    fitting = int(_BLOCK_BYTES // np.prod(recipe.ops.shape))
    size = max(1, min(_FILES_PER_BLOCK, fitting, max(_FEWEST_FILES, len(items) // _WANTED_BLOCKS)))
    for start in range(0, len(items), size):
        part = items[start : start + size]
        files = [[item.path, item.bytes, item.mtime_ns] for item in part]
        document = json.dumps([DECODER_VERSION, asdict(recipe), files], sort_keys=True)
        yield hashlib.sha256(document.encode()).hexdigest()[:32], part


def scan_block(block: pa.Table, reader: Reader, recipe: Recipe, folder: str) -> pa.Table:
    """One task: a table with columns `block` (one name) and `path`. A file system that refuses is told, not raised."""
    cv2.setNumThreads(1)  # this process has one CPU; OpenCV would take all of them
    name = block["block"][0].as_py()
    done: dict[str, Any] = {"block": name}
    try:
        spool.write(Path(folder), name, _found(block["path"].to_pylist(), reader, recipe))
    except OSError as error:
        done.update(errno=error.errno or 0, error=error.strerror or str(error))
    return pa.Table.from_pylist([done], schema=_DONE)


def _found(paths: Sequence[str], reader: Reader, recipe: Recipe) -> Iterator[tuple[dict[str, Any], Pixels | None]]:
    for path in paths:
        facts, pixels = _scan(path, reader, recipe)
        yield facts, pixels if recipe.pixels else None


def _scan(path: str, reader: Reader, recipe: Recipe) -> tuple[dict[str, Any], Pixels | None]:
    facts: dict[str, Any] = {"path": path}
    try:
        data = reader.read(path, sniff)  # sniffed before a film of gigabytes is read
        facts["bytes"] = len(data)
        facts["sha256"] = hashlib.sha256(data).hexdigest()
        looked = look(data)
        header, _ = looked
        facts["format"], facts["width"], facts["height"] = header.format, header.width, header.height
        picture = open_picture(data, recipe.ops, looked)
        if recipe.looks:
            seen = look_of(picture)
            facts["phash"], facts["signature"] = seen.phash, seen.signature
        return facts, fitted(picture, recipe.ops)
    except ImageError as error:
        facts["reason"] = error.reason
    except OSError as error:
        facts["reason"] = f"can't be read ({(error.strerror or str(error)).lower()})"
    except MemoryError:
        facts["reason"] = "too little memory to decode it"
    return facts, None
