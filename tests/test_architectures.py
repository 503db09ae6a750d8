"""Each architecture of the table goes the whole way: built flat, trained a step, saved, reloaded, explained, exported.

Three of them in each run, of which one goes through every format and the two others through one half each; all through
every format with `pytest -m sweep tests/test_architectures.py`, which takes hours on two cores.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.bundle.bundle import Bundle, write_bundle
from imgcls_ray.bundle.card import Card
from imgcls_ray.bundle.export.base import Parts
from imgcls_ray.bundle.export.formats import FORMATS, exporter
from imgcls_ray.bundle.export.job import export_bundle
from imgcls_ray.bundle.export.network import export_network
from imgcls_ray.bundle.export.pictures import Pictures
from imgcls_ray.bundle.files import MODEL
from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.explain.gradcam import heat_map
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.inference.engine import load_engine
from imgcls_ray.models import BACKBONES, backbone
from imgcls_ray.models.network import build_scratch

from .conftest import picture

EXACT = [
    name for name in FORMATS if name not in ("tflite_float16", "tflite_int8", "bundle_bfloat16", "bundle_openvino")
]
ROUNDED = ["tflite_float16", "tflite_int8"]
"""What these lose on networks that learned nothing says nothing: here they only have to run."""
EACH_RUN = {
    "mobilenet_0.25": (*EXACT, *ROUNDED),
    "mobilenet_v2_0.35": ("saved_model", "tflite", "tflite_float16"),
    "mobilenet_v3_small_0.75": ("h5", "onnx", "openvino"),
}
"""Architecture -> the formats that it goes through in each run."""
ALL = [
    *(pytest.param(name, formats, id=name) for name, formats in EACH_RUN.items()),
    *(pytest.param(name, (*EXACT, *ROUNDED), id=f"{name}-all", marks=pytest.mark.sweep) for name in BACKBONES),
]
CALIBRATION = Calibration(10.0, pictures=6)
"""Networks that learned nothing answer otherwise at the least rounding of six pictures' statistics: this damps it."""
EXCEPTIONS: dict[str, set[str]] = {}
"""Architecture -> formats that can't hold it."""


def trained(name: str, side: int, images: np.ndarray) -> keras.Model:
    """A network after one step. Its batch normalisation has the statistics of that step, or all signals would fade."""
    keras.utils.set_random_seed(0)
    model = build_scratch(TrialSettings(backbone=name), Size(side, side), 3, 3)
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)], "not flat"
    quieten_branches(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    before = [variable.numpy() for variable in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy", jit_compile=False)
    loss = model.fit(images.astype(np.float32), np.arange(len(images)) % 3, batch_size=len(images), verbose=0)
    assert np.isfinite(loss.history["loss"]).all()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            spread = layer.moving_variance.numpy()  # of few pictures; a channel that hardly varies would be blown up
            layer.moving_variance.assign(np.maximum(spread, spread.mean()))
    after = [variable.numpy() for variable in model.trainable_variables]
    assert any((new != old).any() for new, old in zip(after, before, strict=True))
    spread_out(model, images)
    return model


def quieten_branches(model: keras.Model) -> None:
    """Let the branch of each residual block add a tenth only, much as large networks begin (Goyal et al. 2017, section
    5.1): deep ones that learned nothing would blow up rounding from block to block."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Add):
            branch = max((source_of(tensor) for tensor in layer.input), key=model.layers.index)
            if isinstance(branch, keras.layers.BatchNormalization) and branch.scale:
                branch.gamma.assign(0.1 * branch.gamma)


def source_of(tensor: keras.KerasTensor) -> keras.Layer:
    """The layer that made it, before any dropout."""
    layer = tensor._keras_history.operation
    return source_of(layer.input) if isinstance(layer, keras.layers.Dropout) else layer


def spread_out(model: keras.Model, images: np.ndarray) -> None:
    """Let the logits have mean 0 and deviation 1: a deep network that learned nothing is else sure of one class,
    whatever the picture, and would agree with any export of it."""
    last = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][-1]
    signals = keras.Model(model.input, last.input).predict(images, verbose=0)
    kernel, bias = last.get_weights()
    logits = signals @ kernel + bias
    last.set_weights([kernel / logits.std(axis=0), (bias - logits.mean(axis=0)) / logits.std(axis=0)])


def bundled(name: str, folder: Path, images: np.ndarray) -> tuple[Bundle, keras.Model]:
    """The network's bundle, and the network as it was before it was saved."""
    side = images.shape[1]
    model = trained(name, side, images)
    card = Card(name=name, study="s", settings={}, metrics={}, data_name="d", data_fingerprint="f", counts={})
    pixels, labels = PixelOps(side, side, "color"), Labels(("a", "b", "c"))
    return write_bundle(folder / "b", model, labels, pixels, card, images[:4], CALIBRATION), model


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "formats"), ALL)
def test_an_architecture_goes_the_whole_way(name: str, formats: tuple[str, ...], tmp_path: Path) -> None:
    side = max(32, backbone(name).min_size)
    images = np.stack([picture(number % 3, number, (side, side)) for number in range(6)])
    bundle, model = bundled(name, tmp_path, images)
    again = keras.saving.load_model(bundle.path / MODEL, compile=False, safe_mode=True)
    said = load_engine(model).predict(images)
    assert np.array_equal(said, load_engine(again).predict(images))
    assert np.ptp(said, axis=0).max() > 1e-3, "all pictures look alike to it, so parity would prove nothing"
    heat = heat_map(again, images, said.argmax(axis=1))
    assert (heat.shape, heat.dtype) == (images.shape[:3], np.float32)
    assert heat.min() >= 0
    assert 0 < heat.max() <= 1 + 1e-6
    pictures = Pictures(images, images, "the pictures of its one step")
    for format in [format for format in formats if format in EXACT]:
        kind = exporter(format)
        if format not in EXCEPTIONS.get(name, ()):
            export_bundle(bundle, kind, tmp_path / f"{format}{kind.suffix}", pictures)
    network = export_network(again, bundle.calibration)
    for format in [format for format in formats if format in ROUNDED]:
        kind = exporter(format)
        place = tmp_path / f"{format}{kind.suffix}"
        kind.write(Parts(network, bundle, images), place)
        assert np.allclose(kind.load(place).predict(images).sum(axis=1), 1, atol=0.05)


def test_exceptions_are_of_the_table() -> None:
    assert set(EXCEPTIONS) <= set(BACKBONES)
    assert set().union(*EXCEPTIONS.values()) <= set(FORMATS)
