"""Embeddings of earlier systems, in files that TensorFlow wrote."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.data.shards.earlier import read_embedding_records
from imgcls_ray.errors import DataError

ROWS = np.random.default_rng(0).normal(size=(4, 2048)).astype(np.float32)
LABELS: list[list[int]] = [[0], [1], [], [1]]


def write(path: Path, rows: Sequence[int], compression: str = "GZIP", **other: Any) -> Path:
    import tensorflow as tf

    train = tf.train
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for n in rows:
            feature = {
                "image_uri": train.Feature(bytes_list=train.BytesList(value=[f"gs://bücket/{n}.jpg".encode()])),
                "embedding": train.Feature(float_list=train.FloatList(value=ROWS[n].tolist())),
            }
            if LABELS[n]:
                feature["label"] = train.Feature(int64_list=train.Int64List(value=LABELS[n]))
            feature |= other
            kept = {name: value for name, value in feature.items() if value is not None}
            writer.write(train.Example(features=train.Features(feature=kept)).SerializeToString())
    return path


def test_files_are_read_in_their_order_with_unlabelled_rows(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "train-00000.tfrecord.gz", [0, 1]),
        write(tmp_path / "train-00001.tfrecord", [2, 3], ""),
    ]
    found = read_embedding_records(paths)
    assert found.keys == tuple(f"gs://bücket/{n}.jpg" for n in range(4))
    assert (found.features.dtype, found.labels.dtype) == (np.float32, np.int64)
    assert np.array_equal(found.features, ROWS)
    assert found.labels.tolist() == [0, 1, -1, 1]


def test_several_labels_are_refused_or_the_first_is_taken(tmp_path: Path) -> None:
    import tensorflow as tf

    labels = tf.train.Feature(int64_list=tf.train.Int64List(value=[3, 1]))
    path = write(tmp_path / "x", [0], label=labels)
    with pytest.raises(DataError, match="it has 2 labels"):
        read_embedding_records([path])
    assert read_embedding_records([path], "first").labels.tolist() == [3]


def test_records_of_another_kind_are_told(tmp_path: Path) -> None:
    import tensorflow as tf

    def floats(n: int) -> Any:
        return tf.train.Feature(float_list=tf.train.FloatList(value=[0.0] * n))

    def ints(*values: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    for other, reason in (
        ({"image_uri": None}, "no `image_uri`"),
        ({"embedding": None}, "no `embedding`"),
        ({"embedding": floats(0)}, "no `embedding`"),
        ({"embedding": ints(1)}, "no `embedding`"),
        ({"label": floats(1)}, "not of ints"),
        ({"label": ints(-1)}, "`label` is -1"),
    ):
        with pytest.raises(DataError, match=reason):
            read_embedding_records([write(tmp_path / "x", [0], **other)])
    wide = write(tmp_path / "wide", [0])
    with pytest.raises(DataError, match=r"narrow differs at byte 0 .*has 3 values, the first one has 2048"):
        read_embedding_records([wide, write(tmp_path / "narrow", [1], embedding=floats(3))])


def test_damage_and_emptiness_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x", [0, 1])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="can't be read from byte"):
        read_embedding_records([path])
    with pytest.raises(DataError, match="0 files hold none"):
        read_embedding_records([])
    with pytest.raises(DataError, match="1 files hold none"):
        read_embedding_records([write(tmp_path / "empty", [])])
