"""Shard formats: one protocol, two kinds of file. Loads neither h5py nor TensorFlow before one is used."""

from pathlib import Path
from typing import TYPE_CHECKING

from imgcls_ray.data.shards.base import Encoding, Shard, ShardFormat
from imgcls_ray.errors import DataError, SettingsError, ending

if TYPE_CHECKING:  # the index needs the sources, and a source of TFRecords needs `records` of this room
    from imgcls_ray.data.index import ShardEntry

__all__ = ["FORMATS", "Encoding", "Shard", "ShardFormat", "read_shard", "shard_format"]

FORMATS = ("hdf5", "tfrecord")


def shard_format(name: str) -> ShardFormat:
    """The format called `name`, one of `FORMATS`.

    Raises:
        SettingsError: no such format.
    """
    if name == "hdf5":
        from imgcls_ray.data.shards.hdf5 import Hdf5

        return Hdf5()
    if name == "tfrecord":
        from imgcls_ray.data.shards.tfrecord import TfRecord

        return TfRecord()
    raise SettingsError(f"A shard format is one of {', '.join(FORMATS)}; received {name!r}{ending(name, FORMATS)}")


def read_shard(folder: Path, entry: "ShardEntry", format: str) -> Shard:
    """Read a whole shard into memory.

    Raises:
        DataError: the file is missing or damaged, or holds another number of pictures than the index says.
    """
    shard = shard_format(format).read(folder / entry.file)
    if len(shard.labels) != entry.rows:
        raise DataError(
            f"{folder / entry.file} must hold {entry.rows} pictures and holds {len(shard.labels)}; preprocess again."
        )
    return shard
