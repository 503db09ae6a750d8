"""HDF5 shards: datasets `labels`, `keys`, `class_names` and, at the end of the file, the pixels."""

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from imgcls_ray.data.files import Written, write_hashed
from imgcls_ray.data.shards import jpeg
from imgcls_ray.data.shards.base import VERSION, Encoding, Images, Numbers, Pictures, Shard, check_lengths, damaged


class Hdf5:
    """`images` uint8 (n, H, W, C), contiguous, or `jpeg` uint8 with `offsets` int64 (n + 1,).

    `labels` int64 (n,); `keys` (n,) and `class_names` UTF-8 of fixed length; attributes `format_version`, `encoding`,
    and `shape` (n, H, W, C).
    """

    suffix = ".h5"

    def write(
        self,
        path: Path,
        images: Pictures,
        labels: Numbers,
        keys: tuple[str, ...],
        names: tuple[str, ...] = (),
        encoding: Encoding = "raw",
        sync: bool = True,
    ) -> Written:
        """See ShardFormat."""
        check_lengths(images, labels, keys)
        shape = (len(images), *images[0].shape)
        small = {"labels": labels.astype(np.int64), "keys": _texts(keys), "class_names": _texts(names)}
        if encoding == "jpeg":
            parts = [memoryview(jpeg.encode(image)) for image in images]
            small["offsets"] = np.cumsum([0, *map(len, parts)], dtype=np.int64)
            head, tail = _around("jpeg", (int(small["offsets"][-1]),), small, shape, encoding)
        else:
            parts = [np.ascontiguousarray(image).reshape(-1).data for image in images]
            head, tail = _around("images", shape, small, shape, encoding)
        return write_hashed(path, [head, *parts, tail], sync)

    def read(self, path: Path) -> Shard:
        """See ShardFormat. Whole arrays are read: picking rows by index is a hundred times slower."""
        try:
            with h5py.File(path, "r", locking=False) as file:
                version = file.attrs["format_version"]
                if version != VERSION:
                    raise damaged(path, f"its format version is {version}, this program knows {VERSION}")
                images = _jpegs(file) if "jpeg" in file else file["images"][...]
                labels = file["labels"][...].astype(np.int64)
                keys = tuple(key.decode() for key in file["keys"][...])
        except (OSError, KeyError, RuntimeError, ValueError, UnicodeDecodeError) as error:
            raise damaged(path, error) from error
        if not len(images) == len(labels) == len(keys):
            raise damaged(path, "its datasets differ in length")
        return Shard(images, labels, keys)


def _around(
    name: str, shape: tuple[int, ...], small: dict[str, np.ndarray[Any, Any]], pictures: Sequence[int], encoding: str
) -> tuple[memoryview, memoryview]:
    """What comes before and after the bytes of the dataset `name`, uint8 of `shape`, in a file that has it.

    HDF5 gives a dataset that is contiguous and allocated early its place at once, and never touches it when it is not
    to be filled: so the pixels need not go through HDF5, nor be in memory a second time. HDF5 would also be unable to
    close a file whose disk is full.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=("earliest", "v110")) as file:  # newer ones put the time into the root group
        file.attrs["format_version"] = VERSION
        file.attrs["encoding"] = np.bytes_(encoding)
        file.attrs["shape"] = np.array(pictures, np.int64)
        for other, data in small.items():
            file.create_dataset(other, data=data, track_times=False)
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.CONTIGUOUS)
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        layout.set_obj_track_times(False)
        space = h5py.h5s.create_simple(shape)
        dataset = h5py.h5d.create(file.id, name.encode(), h5py.h5t.STD_U8LE, space, layout)
        start, size = dataset.get_offset(), dataset.get_storage_size()
    whole = memory.getbuffer()
    head = whole[:start]
    if len(head) < start:  # HDF5 did not write all that it set aside
        head = memoryview(bytes(head) + bytes(start - len(head)))
    return head, whole[start + size :]


def _jpegs(file: Any) -> Images:
    data, offsets = file["jpeg"][...], file["offsets"][...]
    shape = tuple(int(size) for size in file.attrs["shape"])
    if len(shape) != 4 or offsets.shape != (shape[0] + 1,) or offsets[0] != 0 or offsets[-1] != len(data):
        raise ValueError("its offsets do not fit its data")
    if (np.diff(offsets) < 0).any():
        raise ValueError("its offsets do not rise")
    return jpeg.decode((data[start:end] for start, end in itertools.pairwise(offsets)), shape)


def _texts(texts: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """UTF-8 of fixed length: HDF5 keeps strings of any length in a heap, whose unused bytes differ from run to run."""
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded), default=1)))
