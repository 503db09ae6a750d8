"""HDF5 shards: datasets `images`, `labels`, `keys`, and the class names as an attribute."""

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
        text = h5py.string_dtype(
            "utf-8", max([1, *map(len, encoded)])
        )  # fixed length: no heap, the same bytes each time
        chunk = max(1, min(len(images), _CHUNK_BYTES // images[:1].nbytes))
        with h5py.File("shard", "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
            file.attrs["format_version"] = VERSION
            file.attrs.create("class_names", list(names), dtype=h5py.string_dtype("utf-8"))
            file.create_dataset(
                "images",
                data=images,
                chunks=(chunk, *images.shape[1:]),
                track_times=False,
            )
            file.create_dataset("labels", data=labels.astype(np.int64), track_times=False)
            file.create_dataset("keys", data=np.array(encoded, dtype=text), dtype=text, track_times=False)
            file.flush()
            data = file.id.get_file_image()
        write_atomic(path, data)

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
