"""Embeddings that earlier systems wrote as TFRecord: `image_uri` bytes, `embedding` float list, `label` ints or none.

This is what the Beam pipelines around Inception v3's bottleneck write (GoogleCloudPlatform/cloudml-samples, flowers),
as `*.tfrecord.gz`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from imgcls_ray.data.shards.base import Numbers
from imgcls_ray.data.shards.example import Floats, Value, parse
from imgcls_ray.data.shards.records import read_records
from imgcls_ray.errors import DataError

UNLABELLED = -1
"""The label of a record that has none. Those systems trained such records as one more class, after the last."""


class EmbeddingRecords(NamedTuple):
    """What the files hold, in their order."""

    keys: tuple[str, ...]
    """`image_uri` of each record."""
    features: Floats
    """float32 (n, D)."""
    labels: Numbers
    """int64 (n,), 0 and up, `UNLABELLED` where there is none."""


def read_embedding_records(
    paths: Sequence[Path], multi_label: Literal["refuse", "first"] = "refuse"
) -> EmbeddingRecords:
    """Read files of embeddings, plain or gzip, into memory.

    Args:
        paths: the files, in the order wanted.
        multi_label: a record with several labels is an error, or takes its first.

    Raises:
        DataError: a file is missing, cut or damaged, a record is of another kind, widths differ, or there is no record.
    """
    keys: list[str] = []
    rows: list[Floats] = []
    labels: list[int] = []
    for path in paths:
        for record in read_records(path):
            try:
                key, row, label = _record(parse(record.data), multi_label)
                if rows and len(row) != len(rows[0]):
                    raise ValueError(f"its embedding has {len(row)} values, the first one has {len(rows[0])}")
            except ValueError as error:
                raise DataError(
                    "A record of embeddings has `image_uri` bytes, `embedding` floats, all of one length, and one "
                    f"`label` int or none; {path} differs at byte {record.offset} ({error}): give files of that kind."
                ) from error
            keys.append(key)
            rows.append(row)
            labels.append(label)
    if not rows:
        raise DataError(
            f"At least one record of embeddings is needed; {len(paths)} files hold none: give files that have some."
        )
    return EmbeddingRecords(tuple(keys), np.stack(rows), np.array(labels, np.int64))


def _record(example: dict[str, Value], multi_label: str) -> tuple[str, Floats, int]:
    key, row, label = example.get("image_uri"), example.get("embedding"), example.get("label", [])
    if not isinstance(key, bytes):
        raise ValueError("it has no `image_uri`")
    if not isinstance(row, np.ndarray) or not len(row):
        raise ValueError("it has no `embedding`")
    if not isinstance(label, list):
        raise ValueError("its `label` is not of ints")
    if len(label) > 1 and multi_label != "first":
        raise ValueError(f"it has {len(label)} labels")
    number = label[0] if label else UNLABELLED
    if label and number < 0:
        raise ValueError(f"its `label` is {number}")
    return key.decode(), row, number
