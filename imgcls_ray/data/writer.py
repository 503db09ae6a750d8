"""The second pass: one task reads, decodes and resizes the pictures of one shard, and writes it. No array leaves it."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from imgcls_ray.data.index import digest
from imgcls_ray.data.inspection import unreadable
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.data.shards import shard_format
from imgcls_ray.errors import ImageError

_SCHEMA = pa.schema(
    [
        ("stem", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("errno", pa.int64()),
        ("error", pa.string()),
    ]
)


def write_block(block: pa.Table, root: str, folder: str, ops: PixelOps, labels: Labels, format: str) -> pa.Table:
    """For a block with columns `stem` (all equal), `path`, `label` (number), `sha256`: write `folder/stem.suffix`.

    Returns one row: rows written, bytes and sha256 of the file, and for each picture of the block why it was refused
    (null if it was not). A file system that refuses is told in `errno` and `error`, so that the driver can word it.
    """
    cv2.setNumThreads(1)  # this process has one CPU; OpenCV would take all of them
    stem = block["stem"][0].as_py()
    images = np.empty((block.num_rows, *ops.shape), np.uint8)
    numbers: list[int] = []
    keys: list[str] = []
    reasons: list[str | None] = []
    for path, label, sha256 in zip(*(block[name].to_pylist() for name in ("path", "label", "sha256")), strict=True):
        try:
            data = Path(root, path).read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise ImageError("changed while it was read")
            images[len(keys)] = decode(data, ops)
        except ImageError as error:
            reasons.append(error.reason)
        except OSError as error:
            reasons.append(unreadable(error))
        else:
            numbers.append(label)
            keys.append(path)
            reasons.append(None)
    row = {"stem": stem, "rows": len(keys), "reasons": reasons}
    if keys:
        kind = shard_format(format)
        file = Path(folder, stem + kind.suffix)
        try:
            kind.write(file, images[: len(keys)], np.array(numbers, np.int64), tuple(keys), labels.names)
            row.update(bytes=file.stat().st_size, sha256=digest(file))
        except OSError as error:
            row.update(errno=error.errno or 0, error=error.strerror or str(error))
    return pa.Table.from_pylist([row], schema=_SCHEMA)
