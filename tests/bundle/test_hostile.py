"""Hostile and broken bundles: each is refused within two seconds, and nothing of it is built or run.

The checksums fit each of them: who can write into the folder can write these too.
"""

import json
import os
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.bundle.files import (
    CALIBRATION,
    CARD,
    CARD_PAGE,
    CHECKED,
    CHECKSUMS,
    GOLDEN,
    LABELS,
    MODEL,
    PIXELS,
    read_golden,
    write_checksums,
    write_golden,
)
from imgcls_ray.data.labels import Labels
from imgcls_ray.errors import ModelError

from .test_archive import change_config, change_weights, members, replace_layer, rewrite, set_value

SECONDS = 2.0
Break = Callable[[Path], object]


def keys(file: str, **values: Any) -> Break:
    """Keys of a JSON file set to other values."""

    def change(bundle: Path) -> None:
        path = bundle / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def text(file: str, content: str) -> Break:
    return lambda bundle: (bundle / file).write_text(content)


def config(change: Callable[[dict[str, Any]], None]) -> Break:
    return lambda bundle: change_config(bundle / MODEL, change)


def weights(change: Callable[[h5py.File], object]) -> Break:
    return lambda bundle: change_weights(bundle / MODEL, change)  # type: ignore[arg-type]


def sparse(file: str) -> Break:
    """A hundred gigabytes that take no space."""
    return lambda bundle: os.truncate(bundle / file, 10**11)


def packed(file: str, size: int) -> Break:
    """A member of the model file that unpacks to `size` bytes of nothing."""

    def change(bundle: Path) -> None:
        files = members(bundle / MODEL) | {file: bytes(size)}
        with zipfile.ZipFile(bundle / MODEL, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)

    return change


def link(file: str) -> Break:
    def change(bundle: Path) -> None:
        away = bundle.parent / f"away-{file}"
        (bundle / file).rename(away)
        (bundle / file).symlink_to(away)

    return change


def instead(file: str, make: Callable[[Path], object]) -> Break:
    def change(bundle: Path) -> None:
        (bundle / file).unlink()
        make(bundle / file)

    return change


class Runs:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hostile-ran",)


def pickled_golden(bundle: Path) -> None:
    images, scores = read_golden(bundle / GOLDEN)
    np.savez(bundle / GOLDEN, images=images, scores=np.array([Runs()] * len(scores), dtype=object))


def golden(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Break:
    return lambda bundle: write_golden(bundle / GOLDEN, *change(*read_golden(bundle / GOLDEN)))


def packed_golden(bundle: Path) -> None:
    shape = (20_000, 100, 100, 1)
    np.savez_compressed(bundle / GOLDEN, images=np.zeros(shape, np.uint8), scores=np.zeros((20_000, 3), np.float32))


def lying_golden(bundle: Path) -> None:
    """Arrays whose header tells of far more than the file holds."""
    header = str({"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**3, 10**3, 3)}).encode()
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    rewrite(bundle / GOLDEN, {"images.npy": array, "scores.npy": array})


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def huge_weight(file: h5py.File) -> None:
    file["layers"].create_dataset("huge", (10**7, 10**6), "f4", chunks=(1000, 1000))


def loop(file: h5py.File) -> None:
    file["layers"]["again"] = file["layers"]


BUNDLES: dict[str, Break] = {
    # names and kinds of files
    "a file is missing": lambda bundle: (bundle / LABELS).unlink(),
    "an extra file": text("run_me.py", "print()"),
    "a hidden extra file": text(".pth", "import os"),
    "an extra folder": lambda bundle: (bundle / "assets").mkdir(),
    "a linked model": link(MODEL),
    "linked labels": link(LABELS),
    "a folder for a file": instead(CARD_PAGE, Path.mkdir),
    "a pipe for a file": instead(CARD, os.mkfifo),
    "a sparse model": sparse(MODEL),
    "a sparse list of labels": sparse(LABELS),
    "sparse golden pictures": sparse(GOLDEN),
    # JSON
    "labels out of order": keys(LABELS, names=["dog", "cat", "owl"]),
    "labels of another number": keys(LABELS, **Labels(("cat", "dog")).to_json()),
    "a label twice": keys(LABELS, names=["cat", "cat", "owl"]),
    "labels that are no list": keys(LABELS, names={"cat": 1}),
    "labels nested without end": text(LABELS, deep(200_000).decode()),
    "labels of a number too long": text(LABELS, "1" * 100_000),
    "pixels of another size": keys(PIXELS, height=17),
    "pixels of another colour": keys(PIXELS, colorspace="grayscale"),
    "pixels of half a row": keys(PIXELS, height=16.0),
    "pixels with a command": keys(PIXELS, command="rm"),
    "calibration that is no number": text(CALIBRATION, '{"temperature": NaN}'),
    "calibration without end": text(CALIBRATION, '{"temperature": 1e999}'),
    "calibration below zero": keys(CALIBRATION, temperature=-1.0),
    "a calibration of words": keys(CALIBRATION, class_thresholds="all"),
    "a card with a figure that is no number": text(CARD, '{"metrics": {"val_accuracy": NaN}}'),
    "a card with unknown keys": keys(CARD, script="x"),
    # golden pictures
    "golden pictures of another model": golden(lambda images, scores: (images, scores[::-1].copy() + 0.01)),
    "golden pictures that are no numbers": golden(lambda images, scores: (images, scores * np.nan)),
    "golden pictures of another size": golden(lambda images, scores: (images[:, 1:], scores)),
    "no golden pictures": golden(lambda images, scores: (images[:0], scores[:0])),
    "pickled golden pictures": pickled_golden,
    "a bomb of golden pictures": packed_golden,
    "golden pictures that are not there": lying_golden,
    "a pickle for golden pictures": lambda bundle: (bundle / GOLDEN).write_bytes(pickle.dumps(Runs())),
    # the model file
    "a pickle for a model": lambda bundle: (bundle / MODEL).write_bytes(pickle.dumps(Runs())),
    "a model cut off": lambda bundle: os.truncate(bundle / MODEL, 1000),
    "a member above its folder": lambda bundle: rewrite(
        bundle / MODEL, members(bundle / MODEL) | {"../../evil.py": b"x"}
    ),
    "a member at the root": lambda bundle: rewrite(bundle / MODEL, members(bundle / MODEL) | {"/etc/cron.d/x": b"x"}),
    "a bomb for a configuration": packed("config.json", 60_000_000),
    "a bomb for weights": packed("model.weights.h5", 200_000_000),
    "a Lambda layer": config(replace_layer(class_name="Lambda", config={"function": {"class_name": "__lambda__"}})),
    "a custom class": config(replace_layer(module="evil", class_name="Layer", registered_name="evil>Layer")),
    "a function for an activation": config(
        set_value("activation", {"module": "os", "class_name": "function", "config": "system"})
    ),
    "a layer that reads a SavedModel": config(replace_layer(class_name="TFSMLayer", config={"filepath": "/x"})),
    "a layer that reads a vocabulary": config(replace_layer(class_name="StringLookup", config={"vocabulary": "/x"})),
    "a state of training": config(lambda document: document.update(compile_config={"loss": "mse"})),
    "a layer larger than the memory": config(set_value("filters", 10**12)),
    "a configuration nested without end": lambda bundle: rewrite(
        bundle / MODEL, members(bundle / MODEL) | {"config.json": deep(500_000)}
    ),
    # the weights in it
    "weights that point to a file": weights(
        lambda file: file["layers"].update(x=h5py.ExternalLink("/etc/passwd", "/"))
    ),
    "weights that lie in a file": weights(
        lambda file: file["layers"].create_dataset("x", (9,), "u1", external=[("/etc/passwd", 0, 9)])
    ),
    "weights inside themselves": weights(loop),
    "weights larger than the memory": weights(huge_weight),
    "weights that are texts": weights(lambda file: file["layers"].create_dataset("x", data=["a", "b"])),
    "weights that are no HDF5": lambda bundle: rewrite(
        bundle / MODEL, members(bundle / MODEL) | {"model.weights.h5": b"x" * 1000}
    ),
}
RUN = {"golden pictures of another model", "golden pictures that are no numbers"}
"""These have a network that passes all checks, so it is asked about them."""


def test_the_corpus_is_large() -> None:
    assert len(BUNDLES) >= 20


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_hostile_bundle_is_refused_at_once(
    kind: str, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    BUNDLES[kind](copy)
    if all((copy / name).is_file() and (copy / name).stat().st_size < 10**9 for name in CHECKED):
        extra = [path for path in copy.iterdir() if path.name not in (*CHECKED, CHECKSUMS)]
        assert all(path.is_dir() or path.stat().st_size < 10**9 for path in extra)
        write_checksums(copy)
    if kind not in RUN:
        monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras opened a hostile file"))
    started = time.perf_counter()
    with pytest.raises(ModelError) as refused:
        load_bundle(copy)
    assert time.perf_counter() - started < SECONDS
    assert "\n" not in str(refused.value)
    assert str(refused.value).rstrip().endswith((".", "?"))
    assert not (tmp_path / "hostile-ran").exists()


@pytest.mark.parametrize("name", CHECKED)
def test_a_changed_byte_is_refused(name: str, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras opened a damaged file"))
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match="changed or damaged"):
        load_bundle(copy)


def test_the_bundle_that_they_are_made_of_is_a_good_one(copy: Path) -> None:
    write_checksums(copy)
    assert len(load_bundle(copy).labels) == 3
