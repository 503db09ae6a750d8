"""HDF5 shards: datasets `images`, `labels`, `keys`, `class_names`."""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.shards.base import VERSION, Images, Numbers, Shard, damaged

_CHUNK_BYTES = 1 << 20


class Hdf5:
    """`images` uint8 (n, H, W, C) in chunks of whole pictures, `labels` int64 (n,), `keys`, `class_names` UTF-8."""

    suffix = ".h5"

    def write(
        self, path: Path, images: Images, labels: Numbers, keys: tuple[str, ...], names: tuple[str, ...] = ()
    ) -> None:
        """See ShardFormat. The file is made in memory: HDF5 can't close a file whose disk is full."""
        chunks = min(len(images), -(-images.nbytes // _CHUNK_BYTES))
        memory = io.BytesIO()
        with h5py.File(memory, "w", libver=("earliest", "v110")) as file:  # newer ones put the time into the root group
            file.attrs["format_version"] = VERSION
            file.create_dataset(
                "images", data=images, chunks=(-(-len(images) // chunks), *images.shape[1:]), track_times=False
            )
            file.create_dataset("labels", data=labels.astype(np.int64), track_times=False)
            file.create_dataset("keys", data=_texts(keys), track_times=False)
            file.create_dataset("class_names", data=_texts(names), track_times=False)
        write_atomic(path, memory.getbuffer())

    def read(self, path: Path) -> Shard:
        """See ShardFormat. Whole arrays are read: picking rows by index is a hundred times slower."""
        try:
            with h5py.File(path, "r", locking=False) as file:
                version = file.attrs["format_version"]
                if version != VERSION:
                    raise damaged(path, f"its format version is {version}, this program knows {VERSION}")
                images = file["images"][...]
                labels = file["labels"][...].astype(np.int64)
                keys = tuple(key.decode() for key in file["keys"][...])
        except (OSError, KeyError, RuntimeError, ValueError, UnicodeDecodeError) as error:
            raise damaged(path, error) from error
        if not len(images) == len(labels) == len(keys):
            raise damaged(path, "its datasets differ in length")
        return Shard(images, labels, keys)


def _texts(texts: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """UTF-8 of fixed length: HDF5 keeps strings of any length in a heap, whose unused bytes differ from run to run."""
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded), default=1)))
