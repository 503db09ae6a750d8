"""HDF5 shards: datasets `images`, `labels`, `keys`, and the class names as an attribute."""

import io
from pathlib import Path

import h5py
import numpy as np

from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.shards.base import VERSION, Images, Numbers, Shard, damaged

_CHUNK_BYTES = 1 << 20


class Hdf5:
    """`images` uint8 (n, H, W, C) in chunks of whole pictures, `labels` int64 (n,), `keys` UTF-8 of fixed length."""

    suffix = ".h5"

    def write(
        self, path: Path, images: Images, labels: Numbers, keys: tuple[str, ...], names: tuple[str, ...] = ()
    ) -> None:
        """See ShardFormat. The file is made in memory: HDF5 can't close a file whose disk is full."""
        encoded = [key.encode() for key in keys]
        text = h5py.string_dtype("utf-8", max(map(len, encoded)))  # of fixed length: the same bytes each time
        chunks = min(len(images), -(-images.nbytes // _CHUNK_BYTES))
        memory = io.BytesIO()
        with h5py.File(memory, "w", libver=("v110", "v110")) as file:
            file.attrs["format_version"] = VERSION
            file.attrs.create("class_names", list(names), dtype=h5py.string_dtype("utf-8"))
            file.create_dataset(
                "images", data=images, chunks=(-(-len(images) // chunks), *images.shape[1:]), track_times=False
            )
            file.create_dataset("labels", data=labels.astype(np.int64), track_times=False)
            file.create_dataset("keys", data=np.array(encoded, dtype=text), dtype=text, track_times=False)
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
