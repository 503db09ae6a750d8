"""A hostile model file is refused before Keras opens it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from imgcls_ray.bundle.archive import check_archive
from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.bundle.files import MODEL, write_checksums
from imgcls_ray.config import Size
from imgcls_ray.errors import ModelError
from imgcls_ray.models.backbones import backbone
from imgcls_ray.models.features import backbone_model
from imgcls_ray.models.weights import NO_WEIGHTS

FLAG = "imgcls-test-flag"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def change_config(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    files = members(path)
    config = json.loads(files["config.json"])
    change(config)
    rewrite(path, files | {"config.json": json.dumps(config).encode()})


def change_weights(path: Path, change: Callable[[h5py.File], None]) -> None:
    files = members(path)
    buffer = io.BytesIO(files["model.weights.h5"])
    with h5py.File(buffer, "r+") as weights:
        change(weights)
    rewrite(path, files | {"model.weights.h5": buffer.getvalue()})


def replace_layer(**node: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][1].update(node)


def set_value(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][1]["config"].update({key: value})


def test_an_empty_weight_allows_no_size(copy: Path) -> None:
    def empty(weights: h5py.File) -> None:
        weights.create_dataset("much", shape=(2**40, 0))

    change_weights(copy / MODEL, empty)
    change_config(copy / MODEL, set_value("filters", 2**40))
    with pytest.raises(ModelError, match="names the size 1099511627776"):
        check_archive(copy / MODEL)


def test_a_good_model_passes(made: Path) -> None:
    check_archive(made / MODEL)


@pytest.mark.parametrize(
    "change",
    [
        replace_layer(class_name="Lambda"),
        replace_layer(class_name="TFSMLayer", config={"filepath": "/home/x"}),
        replace_layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
        replace_layer(module="os", class_name="System"),
        replace_layer(module="keras.utils", class_name="get_file"),
        replace_layer(module="keras.layers.x", class_name="Dense"),
        replace_layer(module=None),
        replace_layer(module=["keras.layers"]),
        replace_layer(class_name=["Dense"]),
        replace_layer(registered_name="builtins>eval"),
        replace_layer(module="keras.initializers", class_name="get"),
        replace_layer(module="keras", class_name="Variable"),
        set_value("activation", {"module": "builtins", "class_name": "function", "config": "eval"}),
        set_value("x", [{"class_name": "__lambda__", "config": {}}]),
        lambda config: config.update(compile_config={"loss": "mse"}),
    ],
)
def test_a_configuration_that_names_anything_but_stock_layers_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    change_config(copy / MODEL, change)
    with pytest.raises(ModelError, match=r"stock Keras layers|compile_config"):
        check_archive(copy / MODEL)


def touch(path: str) -> Callable[[Any], Any]:
    return lambda x: [x, Path(path).touch()][0]


def test_nothing_of_a_hostile_model_runs(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = tmp_path / FLAG
    model = keras.saving.load_model(copy / MODEL)
    bad = keras.Model(model.inputs, keras.layers.Lambda(touch(str(flag)))(model.output))
    assert flag.exists()
    flag.unlink()
    bad.save(copy / MODEL)
    write_checksums(copy)
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras opened a hostile file"))
    with pytest.raises(ModelError, match="Lambda"):
        load_bundle(copy)
    assert not flag.exists()


@pytest.mark.parametrize("name", ["assets/run.py", "../up.txt", "/root.txt", "config.json.bak"])
def test_a_member_too_many_is_refused(copy: Path, name: str) -> None:
    rewrite(copy / MODEL, members(copy / MODEL) | {name: b"x"})
    with pytest.raises(ModelError, match="nothing else"):
        check_archive(copy / MODEL)


def test_a_missing_or_double_member_is_refused(copy: Path) -> None:
    files = members(copy / MODEL)
    with zipfile.ZipFile(copy / MODEL, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", files["config.json"])
    with pytest.raises(ModelError, match="nothing else"):
        check_archive(copy / MODEL)
    rewrite(copy / MODEL, {name: data for name, data in files.items() if name != "metadata.json"})
    with pytest.raises(ModelError, match="nothing else"):
        check_archive(copy / MODEL)


def test_a_bomb_is_refused(copy: Path) -> None:
    files = members(copy / MODEL) | {"config.json": b" " * 70_000_000}
    with zipfile.ZipFile(copy / MODEL, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="unpacks to"):
        check_archive(copy / MODEL)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / MODEL).write_bytes(data)
    with pytest.raises(ModelError, match="can't be read"):
        check_archive(tmp_path / MODEL)


@pytest.mark.parametrize("text", [b"{", b"[" * 200_000, b"\xff"])
def test_a_configuration_that_is_no_json_is_refused(copy: Path, text: bytes) -> None:
    rewrite(copy / MODEL, members(copy / MODEL) | {"config.json": text})
    with pytest.raises(ModelError, match="not JSON"):
        check_archive(copy / MODEL)


def test_weights_that_point_to_other_files_are_refused(copy: Path, tmp_path: Path) -> None:
    def link(weights: h5py.File) -> None:
        weights["layers"]["away"] = h5py.ExternalLink("/etc/hostname", "/")

    change_weights(copy / MODEL, link)
    with pytest.raises(ModelError, match="point elsewhere"):
        check_archive(copy / MODEL)


def test_weights_stored_in_other_files_are_refused(copy: Path, tmp_path: Path) -> None:
    def store(weights: h5py.File) -> None:
        weights.create_dataset("away", (4,), "u1", external=[(str(tmp_path / "raw"), 0, 4)])

    change_weights(copy / MODEL, store)
    with pytest.raises(ModelError, match="other files"):
        check_archive(copy / MODEL)


def test_weights_that_are_no_hdf5_are_refused(copy: Path) -> None:
    rewrite(copy / MODEL, members(copy / MODEL) | {"model.weights.h5": b"x" * 1000})
    with pytest.raises(ModelError, match="can't be read"):
        check_archive(copy / MODEL)


@pytest.mark.parametrize("name", ["mobilenet_v2_0.35", "mobilenet_v3_small_1.0", "vgg16"])
def test_backbones_pass(tmp_path: Path, name: str) -> None:
    features = backbone_model(backbone(name), Size(64, 64), 1, NO_WEIGHTS)
    model = keras.Model(features.input, keras.layers.Dense(2, activation="softmax")(features.output))
    model.save(tmp_path / MODEL)
    check_archive(tmp_path / MODEL)
    assert np.isfinite(keras.saving.load_model(tmp_path / MODEL)(np.zeros((1, 64, 64, 1)))).all()
