"""Embeddings as files for others: listed, resumed, added to, never mixed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.data.index import digest
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import read_shard
from imgcls_ray.embeddings import embed
from imgcls_ray.embeddings.export import LISTING, export
from imgcls_ray.embeddings.files import is_whole
from imgcls_ray.errors import StorageError
from imgcls_ray.models import NO_WEIGHTS
from tests.embeddings.made import grown, make_set

NAME = "mobilenet_0.25"


@pytest.fixture
def prepared(ray_local: None, tmp_path: Path) -> Preprocessed:
    return make_set(tmp_path / "set")


def listing(out: Path) -> dict[str, object]:
    return json.loads((out / LISTING).read_text())  # type: ignore[no-any-return]


def test_tfrecords_hold_the_keys_the_features_and_the_labels_of_the_shards(
    prepared: Preprocessed, tmp_path: Path
) -> None:
    import tensorflow as tf

    done = export(prepared, NAME, NO_WEIGHTS, tmp_path / "out", views=1, file_format="tfrecord")
    assert done.to_json() == {
        "files": 6,
        "rows": 38 + 26,
        "features": 256,
        "computed": 6,
        "seconds": done.to_json()["seconds"],
        "engine": "openvino",
        "precision": "float32",
        "out": str(tmp_path / "out"),
    }
    found = listing(tmp_path / "out")
    assert [found[name] for name in ("complete", "format", "backbone", "weights_sha256", "precision", "engine")] == [
        True,
        "tfrecord",
        NAME,
        "none",
        "float32",
        "openvino",
    ]
    assert found["labels"] == prepared.index.labels.to_json()
    assert {path.name for path in done.out.iterdir()} == {file.file for file in done.files} | {LISTING}
    features = {
        "image_uri": tf.io.FixedLenFeature([], tf.string),
        "embedding": tf.io.FixedLenFeature([256], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    expected = embed(prepared, NAME, NO_WEIGHTS, tmp_path / "npz", views=1)
    for file, (entry, path) in zip(
        done.files, [*expected.parts("train", 1), *expected.parts("val"), *expected.parts("test")], strict=True
    ):
        assert (file.split, file.rows, file.shard_sha256) == (entry.split, entry.rows, entry.sha256)
        assert file.sha256 == digest(done.out / file.file)
        assert file.bytes == (done.out / file.file).stat().st_size
        rows = [
            tf.io.parse_single_example(record, features)
            for record in tf.data.TFRecordDataset(str(done.out / file.file))
        ]
        shard = read_shard(prepared.path, entry, "hdf5")
        assert tuple(row["image_uri"].numpy().decode() for row in rows) == shard.keys
        assert [int(row["label"]) for row in rows] == shard.labels.tolist()
        with np.load(path) as arrays:
            np.testing.assert_array_equal(np.stack([row["embedding"].numpy() for row in rows]), arrays["features"])


def test_a_second_call_does_nothing_and_a_third_only_what_is_new_or_damaged(
    prepared: Preprocessed, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = export(prepared, NAME, NO_WEIGHTS, out)
    listed = (out / LISTING).read_bytes()
    second = export(prepared, NAME, NO_WEIGHTS, out)
    assert (second.computed, second.engine, second.files) == (0, "openvino", first.files)
    assert (out / LISTING).read_bytes() == listed
    broken = out / first.files[0].file
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-5])
    third = export(grown(prepared, 4), NAME, NO_WEIGHTS, out)
    assert (third.computed, len(third.files), third.rows) == (2, 5, 38 + 4)
    assert broken.read_bytes() == whole


def test_other_embeddings_are_not_mixed_in(prepared: Preprocessed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(prepared, NAME, NO_WEIGHTS, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for backbone, file_format in ((NAME, "tfrecord"), ("mobilenet_0.5", "npz")):
        with pytest.raises(StorageError, match=r"holds those of mobilenet_0\.25 in float32 as npz"):
            export(prepared, backbone, NO_WEIGHTS, out, file_format=file_format)  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / LISTING).write_text("[]")
    with pytest.raises(StorageError, match="can't be read as a list of embeddings"):
        export(prepared, NAME, NO_WEIGHTS, out)


KILLED = """
import sys
from pathlib import Path

import ray

from imgcls_ray.embeddings.export import export
from imgcls_ray.models import NO_WEIGHTS
from tests.embeddings.made import with_shards
from imgcls_ray.data.index import read_index

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
export(with_shards(folder, read_index(folder).shards), "mobilenet_0.25", NO_WEIGHTS, out, 3, "tfrecord")
"""


def test_after_a_kill_the_next_call_goes_on(prepared: Preprocessed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_ADDRESS")}
    words = [sys.executable, "-c", KILLED, str(prepared.path), str(out)]
    process = subprocess.Popen(words, env=environment, start_new_session=True)
    end = time.monotonic() + 120
    try:
        while not list(out.glob("*.tfrecord")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.005)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    there = sorted(out.glob("*.tfrecord"))
    rows = {"train": 13, "val-0": 5, "test-": 7}
    assert all(is_whole(path, next(n for name, n in rows.items() if path.name.startswith(name))) for path in there)
    assert listing(out)["complete"] is False or len(there) == 10
    done = export(prepared, NAME, NO_WEIGHTS, out, 3, "tfrecord")
    assert (done.computed, len(done.files)) == (10 - len(there), 10)
    assert listing(out)["complete"] is True
