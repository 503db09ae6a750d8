"""TFRecord shards: one `tf.train.Example` per picture, readable by TensorFlow and written without it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imgcls_ray.data.files import Written, write_hashed
from imgcls_ray.data.shards import jpeg
from imgcls_ray.data.shards.base import Encoding, Images, Numbers, Pictures, Shard, check_lengths, damaged
from imgcls_ray.data.shards.example import Value, encode, parse
from imgcls_ray.data.shards.records import count, framed, scan


class TfRecord:
    """Features: `image` uint8 bytes or a JPEG, `encoding` which of them (`raw`, `jpeg`), `shape` [H, W, C],
    `label` [n], `key` and `class` UTF-8 bytes.
    """

    suffix = ".tfrecord"

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
        return write_hashed(path, framed(_examples(images, labels, keys, names, encoding)), sync)

    def read(self, path: Path) -> Shard:
        """See ShardFormat. Every CRC is checked; a cut between two records is for the caller to find, by the count."""
        try:
            with path.open("rb") as file:
                rows = count(file)
                labels, keys = np.empty(rows, np.int64), []
                images: Images | None = None
                for row, record in enumerate(scan(file)):
                    example = parse(record.data)
                    shape = _ints(example, "shape")
                    if images is None:
                        images = np.empty((rows, *shape), np.uint8)
                    if list(images.shape[1:]) != shape:
                        raise ValueError("its pictures differ in size")
                    _fill(images[row], _bytes(example, "image"), example.get("encoding", b"raw"))
                    labels[row] = _ints(example, "label")[0]
                    keys.append(_bytes(example, "key").decode())
            if images is None:
                raise ValueError("it is empty")
            return Shard(images, labels, tuple(keys))
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise damaged(path, error) from error


def _examples(
    images: Pictures,
    labels: Numbers,
    keys: tuple[str, ...],
    names: tuple[str, ...],
    encoding: Encoding,
) -> Iterator[bytes]:
    shape = list(images[0].shape)
    for image, label, key in zip(images, labels.tolist(), keys, strict=True):
        pixels = jpeg.encode(image) if encoding == "jpeg" else np.ascontiguousarray(image).reshape(-1).data
        features: dict[str, Value | memoryview] = {
            "image": pixels,
            "encoding": encoding.encode(),
            "shape": shape,
            "label": [label],
            "key": key.encode(),
        }
        if names:
            features["class"] = names[label].encode()
        yield encode(features)


def _fill(image: Images, data: bytes, encoding: Value) -> None:
    if encoding == b"jpeg":
        jpeg.decode_into(image, data)
    elif encoding == b"raw":
        image[...] = np.frombuffer(data, np.uint8).reshape(image.shape)
    else:
        raise ValueError(f"its encoding is {encoding!r}, this program knows raw and jpeg")


def _bytes(example: dict[str, Value], name: str) -> bytes:
    value = example[name]
    if not isinstance(value, bytes):
        raise ValueError(f"{name} is not bytes")
    return value


def _ints(example: dict[str, Value], name: str) -> list[int]:
    value = example[name]
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list of ints")
    return value
