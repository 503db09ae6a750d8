"""Our TFRecord files are TensorFlow's, and TensorFlow's are read by us."""

from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.data.shards.crc32c import crc32c
from imgcls_ray.data.shards.tfrecord import TfRecord
from imgcls_ray.errors import DataError


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_crc32c_of_the_published_examples(data: bytes, crc: int) -> None:
    assert crc32c([data, data + b"!"])[0] == crc


def test_crc32c_agrees_with_the_definition_at_every_length() -> None:
    def slow(data: bytes) -> int:
        state = 0xFFFFFFFF
        for byte in data:
            state ^= byte
            for _ in range(8):
                state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
        return state ^ 0xFFFFFFFF

    rng = np.random.default_rng(0)
    strings = [rng.bytes(n) for n in (4, 5, 511, 512, 513, 1023, 1024, 1025, 3000)]
    assert crc32c(strings).tolist() == [slow(string) for string in strings]


def test_too_short_strings_are_refused() -> None:
    assert len(crc32c([])) == 0
    with pytest.raises(ValueError, match="4 bytes or more"):
        crc32c([b"abc"])


def test_tensorflow_reads_what_we_write(tmp_path: Path) -> None:
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), dtype=np.uint8)
    TfRecord().write(tmp_path / "x", images, np.arange(5) % 2, tuple(f"ä/{n}" for n in range(5)), ("a", "ä"))
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "shape": tf.io.FixedLenFeature([3], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "key": tf.io.FixedLenFeature([], tf.string),
        "class": tf.io.FixedLenFeature([], tf.string),
    }
    for n, record in enumerate(tf.data.TFRecordDataset(str(tmp_path / "x"))):
        example = tf.io.parse_single_example(record, spec)
        image = tf.reshape(tf.io.decode_raw(example["image"], tf.uint8), example["shape"])
        assert np.array_equal(image, images[n])
        assert int(example["label"]) == n % 2
        assert example["key"].numpy().decode() == f"ä/{n}"
        assert example["class"].numpy().decode() == "aä"[n % 2]
    assert n == 4


def test_we_read_what_tensorflow_writes(tmp_path: Path) -> None:
    import tensorflow as tf

    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    def feature(value: bytes | list[int]) -> object:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))

    features = {"image": image.tobytes(), "shape": [2, 4, 3], "label": [300], "key": b"a/1", "more": [1, 2]}
    example = tf.train.Example(
        features=tf.train.Features(feature={name: feature(value) for name, value in features.items()})
    )
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(example.SerializeToString())
    shard = TfRecord().read(tmp_path / "x")
    assert np.array_equal(shard.images, image[None])
    assert shard.labels.tolist() == [300]
    assert shard.keys == ("a/1",)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x"
    TfRecord().write(path, np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64), ("a", "b"), ("a",))
    whole = path.read_bytes()
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        with pytest.raises(DataError):
            TfRecord().read(path)
