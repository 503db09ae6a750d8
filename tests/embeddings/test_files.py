"""The files of embeddings: whole or known to be not, and readable by others."""

from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.embeddings.files import FILE_FORMATS, is_whole, read_npz, write_file
from imgcls_ray.errors import StorageError

ROWS = 6
FEATURES = np.random.default_rng(1).normal(0, 3, (ROWS, 8)).astype(np.float32)
LABELS = np.array([0, 2, 1, 0, 1, 2])
KEYS = tuple(f"rose/ä{number}.png" for number in range(ROWS))


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"train-00000.{suffix}"
    write_file(path, FEATURES, LABELS, KEYS)
    return path


@pytest.mark.parametrize("suffix", FILE_FORMATS)
def test_200_flipped_bits_and_every_cut_are_seen(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    assert is_whole(path, ROWS)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(200):
        place, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        broken = bytearray(whole)
        broken[place] ^= 1 << bit
        path.write_bytes(broken)
        assert not is_whole(path, ROWS), (place, bit)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert not is_whole(path, ROWS), end
    path.unlink()
    assert not is_whole(path, ROWS)


@pytest.mark.parametrize("suffix", FILE_FORMATS)
def test_the_same_content_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first = written(tmp_path, suffix).read_bytes()
    assert written(tmp_path, suffix).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [f"train-00000.{suffix}"]


def test_numpy_reads_an_npz_without_us(tmp_path: Path) -> None:
    path = written(tmp_path, "npz")
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["features"], FEATURES)
        np.testing.assert_array_equal(arrays["labels"], LABELS)
        assert tuple(key.decode() for key in arrays["keys"]) == KEYS
    features, labels = read_npz(path)
    assert (features.dtype, labels.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(features, FEATURES)


def test_what_numpy_alone_has_written_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", features=FEATURES, labels=LABELS)
    with pytest.raises(StorageError, match="its checksum does not fit"):
        read_npz(tmp_path / "other.npz")
    with pytest.raises(StorageError, match="No such file"):
        read_npz(tmp_path / "none.npz")


def test_tensorflow_reads_a_tfrecord(tmp_path: Path) -> None:
    import tensorflow as tf

    path = written(tmp_path, "tfrecord")
    features = {
        "image_uri": tf.io.FixedLenFeature([], tf.string),
        "embedding": tf.io.FixedLenFeature([8], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    rows = [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(str(path))]
    assert tuple(row["image_uri"].numpy().decode() for row in rows) == KEYS
    np.testing.assert_array_equal(np.stack([row["embedding"].numpy() for row in rows]), FEATURES)
    np.testing.assert_array_equal([int(row["label"]) for row in rows], LABELS)
