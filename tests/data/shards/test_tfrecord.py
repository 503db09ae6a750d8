"""Our TFRecord files are TensorFlow's, and TensorFlow's are read by us."""

from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.data.shards import Encoding
from imgcls_ray.data.shards.tfrecord import TfRecord
from imgcls_ray.errors import DataError


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_tensorflow_reads_what_we_write(tmp_path: Path, encoding: Encoding) -> None:
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), dtype=np.uint8)
    labels, keys = np.arange(5) % 2, tuple(f"ä/{n}" for n in range(5))
    TfRecord().write(tmp_path / "x", images, labels, keys, ("a", "ä"), encoding)
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "encoding": tf.io.FixedLenFeature([], tf.string),
        "shape": tf.io.FixedLenFeature([3], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "key": tf.io.FixedLenFeature([], tf.string),
        "class": tf.io.FixedLenFeature([], tf.string),
    }
    expected = TfRecord().read(tmp_path / "x").images
    for n, record in enumerate(tf.data.TFRecordDataset(str(tmp_path / "x"))):
        example = tf.io.parse_single_example(record, spec)
        if encoding == "raw":
            image = tf.reshape(tf.io.decode_raw(example["image"], tf.uint8), example["shape"]).numpy()
            assert np.array_equal(image, images[n])
        else:
            image = tf.io.decode_jpeg(example["image"], dct_method="INTEGER_ACCURATE").numpy()
        assert np.array_equal(image, expected[n])
        assert example["encoding"].numpy() == encoding.encode()
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

    # Without `encoding`: so did version 0.1 of this program.
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


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({}, "shape"),
        ({"shape": [2, 2, 1]}, "image"),
        ({"shape": b"x"}, "shape is not a list of ints"),
        ({"shape": [2, 2, 1], "image": [1]}, "image is not bytes"),
        ({"shape": [2, 2, 1], "image": b"abc", "label": [1], "key": b"k"}, "reshape"),
        ({"shape": [2, 2, 1], "image": b"abcd", "label": [], "key": b"k"}, "index"),
        ({"shape": [2, 2, 1], "image": b"abcd", "label": [1], "key": b"\xff"}, "utf-8"),
        ({"shape": [2, 2, 1], "image": b"abcd", "label": [1], "key": b"k", "encoding": b"png"}, "encoding is b'png'"),
        ({"shape": [2, 2, 1], "image": b"abcd", "label": [1], "key": b"k", "encoding": b"jpeg"}, "JPEG"),
    ],
)
def test_an_example_of_another_kind_is_a_data_error(tmp_path: Path, features: dict, reason: str) -> None:
    from imgcls_ray.data.shards.example import encode
    from imgcls_ray.data.shards.records import framed

    (tmp_path / "x").write_bytes(b"".join(framed([encode(features)])))
    with pytest.raises(DataError, match=reason):
        TfRecord().read(tmp_path / "x")


def test_pictures_of_two_sizes_are_a_data_error(tmp_path: Path) -> None:
    files = []
    for size in (4, 5):
        TfRecord().write(tmp_path / "x", np.zeros((1, size, 4, 1), np.uint8), np.zeros(1, np.int64), ("a",))
        files.append((tmp_path / "x").read_bytes())
    (tmp_path / "x").write_bytes(b"".join(files))
    with pytest.raises(DataError, match="differ in size"):
        TfRecord().read(tmp_path / "x")
