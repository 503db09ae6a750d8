"""The files that embeddings are kept in. Each tells whether it is the file that was written."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imgcls_ray.data.files import write_atomic, write_hashed
from imgcls_ray.data.shards.base import Numbers
from imgcls_ray.data.shards.example import encode
from imgcls_ray.data.shards.records import framed, scan
from imgcls_ray.errors import StorageError

FileFormat = Literal["npz", "tfrecord"]
FILE_FORMATS: tuple[FileFormat, ...] = ("npz", "tfrecord")

Features = np.ndarray[Any, np.dtype[np.float32]]

_MARK = b"sha256:"
_DIGEST = 64
_SLICE = 2**22


def write_file(path: Path, features: Features, labels: Numbers, keys: tuple[str, ...]) -> None:
    """Write one file whole or not at all; its name's suffix tells the format.

    Args:
        path: `.npz` or `.tfrecord`; its folder exists.
        features: float32 (n, ...), n at least 1.
        labels: int64 (n,).
        keys: n paths or URIs of the pictures.

    Raises:
        OSError: as the file system gives it.
    """
    if path.suffix == ".npz":
        write_atomic(path, _npz(features, labels, keys))
    else:
        write_hashed(path, framed(_examples(features, labels, keys)))


def is_whole(path: Path, rows: int) -> bool:
    """Whether `path` is there and the file that was written: any bit flipped and any cut is seen."""
    try:
        if path.suffix == ".npz":
            return _is_whole_npz(path)
        with path.open("rb") as file:
            return sum(1 for _ in scan(file)) == rows
    except (OSError, ValueError):
        return False


def read_npz(path: Path) -> tuple[Features, Numbers]:
    """Features float32 (n, ...) and labels int64 (n,) of a `.npz` of ours.

    Raises:
        StorageError: it is missing or damaged.
    """
    try:
        with np.load(io.BytesIO(_checked(path.read_bytes())), allow_pickle=False) as arrays:
            return arrays["features"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> StorageError:
    """The error for a file that is not what was written."""
    return StorageError(
        f"The embeddings in {path} must be the file that was written and can't be read ({reason}); "
        "delete it and run again."
    )


def _npz(features: Features, labels: Numbers, keys: tuple[str, ...]) -> memoryview:
    """As `np.savez` does, the same bytes each time, with the digest of all before it as the archive's comment.

    NumPy and zip check the arrays' CRC only, not the bytes around them.
    """
    texts = np.array([key.encode() for key in keys])
    arrays: dict[str, np.ndarray[Any, Any]] = {"features": features, "labels": labels, "keys": texts}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
        archive.comment = _MARK + bytes(_DIGEST)
    data = buffer.getbuffer()
    data[-_DIGEST:] = hashlib.sha256(data[:-_DIGEST]).hexdigest().encode()
    return data


def _is_whole_npz(path: Path) -> bool:
    """As `_checked`, a slice at a time: files of maps have some hundred megabytes, and many are looked at at once."""
    digest, left = hashlib.sha256(), path.stat().st_size - _DIGEST
    with path.open("rb") as file:
        while left > 0 and (part := file.read(min(left, _SLICE))):
            digest.update(part)
            left -= len(part)
        return left == 0 and file.read() == digest.hexdigest().encode()


def _checked(data: bytes) -> bytes:
    view = memoryview(data)
    if len(data) < _DIGEST or hashlib.sha256(view[:-_DIGEST]).hexdigest().encode() != bytes(view[-_DIGEST:]):
        raise ValueError("its checksum does not fit")
    return data


def _examples(features: Features, labels: Numbers, keys: tuple[str, ...]) -> Iterator[bytes]:
    """`tf.train.Example`s with `image_uri`, `embedding` and `label`."""
    for row, label, key in zip(features, labels.tolist(), keys, strict=True):
        yield encode({"image_uri": key.encode(), "embedding": np.ravel(row), "label": [label]})
