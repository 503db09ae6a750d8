"""TFRecord shards: one `tf.train.Example` per picture, readable by TensorFlow and written without it.

A record is: length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data, little-endian
(tensorflow/core/lib/io/record_writer.h; the mask is that of crc32c.h).
"""

import struct
from pathlib import Path

import numpy as np

from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.shards.base import Images, Numbers, Shard, damaged
from imgcls_ray.data.shards.crc32c import U32, crc32c
from imgcls_ray.data.shards.example import Value, encode, parse


class TfRecord:
    """Features: `image` raw uint8 bytes, `shape` [H, W, C], `label` [n], `key` and `class` UTF-8 bytes."""

    suffix = ".tfrecord"

    def write(
        self, path: Path, images: Images, labels: Numbers, keys: tuple[str, ...], names: tuple[str, ...] = ()
    ) -> None:
        """See ShardFormat."""
        records = []
        for image, label, key in zip(images, labels, keys, strict=True):
            features: dict[str, Value] = {
                "image": image.tobytes(),
                "shape": list(image.shape),
                "label": [int(label)],
                "key": key.encode(),
            }
            if names:
                features["class"] = names[label].encode()
            records.append(encode(features))
        lengths = [struct.pack("<Q", len(record)) for record in records]
        parts = []
        for length, first, record, last in zip(
            lengths, _masked(crc32c(lengths)), records, _masked(crc32c(records)), strict=True
        ):
            parts += [length, struct.pack("<I", first), record, struct.pack("<I", last)]
        write_atomic(path, *parts)

    def read(self, path: Path) -> Shard:
        """See ShardFormat. Every CRC is checked; a cut between two records is for the caller to find, by the count."""
        try:
            examples = [parse(record) for record in _records(path.read_bytes())]
            images = [_image(example) for example in examples]
            labels = np.array([_ints(example, "label")[0] for example in examples], np.int64)
            keys = tuple(_bytes(example, "key").decode() for example in examples)
            return Shard(np.stack(images), labels, keys)
        except (OSError, ValueError, KeyError, IndexError, struct.error) as error:
            raise damaged(path, error) from error


def _masked(crc: U32) -> U32:
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _records(data: bytes) -> list[bytes]:
    lengths: list[bytes] = []
    records: list[bytes] = []
    sums: list[tuple[int, int]] = []
    position = 0
    while position < len(data):
        length = data[position : position + 8]
        size = struct.unpack("<Q", length)[0]
        end = position + 12 + size
        if end + 4 > len(data):
            raise ValueError("its last record is cut off")
        sums.append((*struct.unpack_from("<I", data, position + 8), *struct.unpack_from("<I", data, end)))
        lengths.append(length)
        records.append(data[position + 12 : end])
        position = end + 4
    found = np.stack([_masked(crc32c(lengths)), _masked(crc32c(records))], axis=-1)
    if not np.array_equal(found, np.array(sums, np.uint32).reshape(-1, 2)):
        raise ValueError("a checksum does not fit")
    return records


def _image(example: dict[str, Value]) -> np.ndarray:
    return np.frombuffer(_bytes(example, "image"), np.uint8).reshape(_ints(example, "shape"))


def _bytes(example: dict[str, Value], name: str) -> bytes:
    value = example[name]
    if not isinstance(value, bytes):
        raise ValueError(f"{name} is not bytes")
    return value


def _ints(example: dict[str, Value], name: str) -> list[int]:
    value = example[name]
    if isinstance(value, bytes):
        raise ValueError(f"{name} is not a list of ints")
    return value
