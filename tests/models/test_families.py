"""Every family of backbones: right scaling, frozen for good, flat, and the same after a reload."""

import importlib
import random
from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.models import BACKBONES, NO_WEIGHTS, Weights, backbone
from imgcls_ray.models.network import assemble, build_features, build_head
from imgcls_ray.models.scaling import scale, to_rgb

# A cheap member of each family. All 54 were built once by hand the same way; the table's widths come from that.
CHEAP = [
    "mobilenet_0.25",
    "mobilenet_v2_0.35",
    "mobilenet_v3_small_0.75",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "resnet50",
    "resnet50_v2",
    "densenet121",
    "inception_v3",
    "xception",
    "vgg16",
    "convnext_tiny",
]

MODULES = {
    "mobilenet": "mobilenet_0.25",
    "mobilenet_v2": "mobilenet_v2_0.35",
    "mobilenet_v3": "mobilenet_v3_large_1.0",
    "efficientnet": "efficientnet_b0",
    "efficientnet_v2": "efficientnet_v2_s",
    "resnet": "resnet101",
    "resnet_v2": "resnet152_v2",
    "densenet": "densenet121",
    "inception_v3": "inception_v3",
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "xception",
    "nasnet": "nasnet_mobile",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "convnext": "convnext_base",
}


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("module", "name"), MODULES.items())
def test_scaling_is_that_of_the_familys_own_preprocess_input(module: str, name: str, tmp_path: Path) -> None:
    images = pixels(2, 5, 4, 3)
    inputs = keras.Input((5, 4, 3))
    outputs = scale(inputs, backbone(name).scaling)
    model = keras.Model(inputs, keras.layers.Identity()(outputs))
    expected = importlib.import_module(f"keras.applications.{module}").preprocess_input(images.astype(np.float32))
    np.testing.assert_allclose(np.asarray(model(images)), expected, atol=1e-4, rtol=1e-5)
    model.save(tmp_path / "scaling.keras")
    reloaded = keras.saving.load_model(tmp_path / "scaling.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(reloaded(images)), np.asarray(model(images)))


def test_gray_becomes_three_equal_channels() -> None:
    images = pixels(2, 5, 4, 1)
    inputs = keras.Input((5, 4, 1))
    rgb = np.asarray(keras.Model(inputs, to_rgb(inputs, 1))(images))
    np.testing.assert_array_equal(rgb, np.repeat(images, 3, axis=-1))


@pytest.mark.parametrize("name", CHEAP)
def test_a_family_is_flat_frozen_and_reloads(name: str, tmp_path: Path) -> None:
    entry = BACKBONES[name]
    size = Size(entry.min_size, entry.min_size + 9)
    channels = 1 if name == "resnet50" else 3
    features = build_features(name, size, channels, NO_WEIGHTS)
    assert features.input_shape == (None, *size, channels)
    assert features.output_shape == (None, entry.features)
    assert features.trainable_variables == []
    forbidden = (keras.Model, keras.layers.Lambda)
    assert not [layer for layer in features.layers if isinstance(layer, forbidden)]
    images = pixels(2, *size, channels)
    expected = np.asarray(features(images, training=False))
    assert np.isfinite(expected).all()
    assert np.abs(expected[0] - expected[1]).max() > 0
    np.testing.assert_array_equal(np.asarray(features(images, training=True)), expected)

    model = assemble(features, build_head(TrialSettings(), entry.features, 3))
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(reloaded(images)), np.asarray(model(images)))
    np.testing.assert_array_equal(np.asarray(reloaded(images, training=True)), np.asarray(model(images)))


def test_without_weights_the_features_are_the_same_in_every_process_and_spend_no_seed() -> None:
    images = pixels(2, 32, 32, 3)
    answers = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        state = random.getstate()
        answers.append(np.asarray(build_features("mobilenet_0.25", Size(32, 32), 3, NO_WEIGHTS)(images)))
        assert random.getstate() == state
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize(
    ("name", "module", "suffix"),
    [
        ("efficientnet_b0", "efficientnet", ".weights.h5"),
        ("convnext_tiny", "convnext", ".weights.h5"),
        ("densenet121", "densenet", ".h5"),
        ("resnet50", "resnet", ".h5"),
    ],
)
def test_a_weights_file_gives_what_keras_imagenet_path_gives(
    name: str, module: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras' `weights="imagenet"` with our file in place of the download: EfficientNet is built differently then."""
    from keras.src.utils import file_utils

    entry = backbone(name)
    build = getattr(keras.applications, entry.keras_name)
    size = 64
    donor = build(include_top=False, weights=None, input_shape=(size, size, 3))
    for layer in donor.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.052, 0.050, 0.051]), np.array(0)])
    path = tmp_path / f"donor{suffix}"
    if suffix == ".h5":
        legacy(donor, path)
    else:
        donor.save_weights(path)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(path))
    reference = build(include_top=False, weights="imagenet", pooling="avg", input_shape=(size, size, 3))
    preprocess = importlib.import_module(f"keras.applications.{module}").preprocess_input
    images = pixels(2, size, size, 3)
    expected = np.asarray(reference(preprocess(images.astype(np.float32))))
    features = build_features(name, Size(size, size), 3, Weights("file", path, "0" * 64))
    np.testing.assert_allclose(np.asarray(features(images)), expected, atol=1e-4, rtol=1e-3)


def legacy(model: keras.Model, path: Path) -> None:
    """Weights in the old `.h5` layout that Keras still publishes."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
