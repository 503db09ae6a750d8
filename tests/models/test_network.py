"""Heads, the small network, and the joined model."""

from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import SettingsError, WeightsError
from imgcls_ray.models import NO_WEIGHTS, Weights, backbone, resolve_weights
from imgcls_ray.models.network import assemble, build_cnn, build_features, build_head, build_scratch


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def dense_layers(model: keras.Model) -> list[keras.layers.Dense]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def test_a_head_is_a_softmax_on_the_features_by_default() -> None:
    head = build_head(TrialSettings(), 7, 3)
    assert head.input_shape == (None, 7)
    assert head.count_params() == 7 * 3 + 3
    np.testing.assert_allclose(np.asarray(head(np.ones((2, 7), np.float32))).sum(axis=1), 1, atol=1e-6)


def test_a_head_has_what_its_settings_say() -> None:
    settings = TrialSettings(head_layers=2, head_width=16, activation="gelu", batch_norm=True, dropout=0.25)
    head = build_head(settings, 8, 3)
    assert [layer.units for layer in dense_layers(head)] == [16, 16, 3]
    assert [layer.use_bias for layer in dense_layers(head)] == [False, False, True]
    assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in head.layers) == 3
    assert [layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)] == [0.25] * 3
    activations = [layer for layer in head.layers if isinstance(layer, keras.layers.Activation)]
    assert {layer.activation.__name__ for layer in activations} == {"gelu"}


@pytest.mark.parametrize(
    ("head", "units", "norms", "rates"),
    [("none", [3], 0, []), ("light", [256, 3], 2, [0.5] * 2), ("heavy", [256, 256, 3], 0, [0.8] * 3)],
)
def test_a_named_head_takes_the_place_of_its_settings(
    head: str, units: list[int], norms: int, rates: list[float]
) -> None:
    settings = TrialSettings(head=head, head_layers=3, head_width=16, dropout=0.25, batch_norm=head != "light")  # type: ignore[arg-type]
    model = build_head(settings, 8, 3)
    assert [layer.units for layer in dense_layers(model)] == units
    assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers) == norms
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == rates


@pytest.mark.parametrize(("optimizer", "penalty"), [("adam", True), ("sgd", True), ("adamw", False)])
def test_the_penalty_on_kernels_is_for_optimisers_without_their_own(optimizer: str, penalty: bool) -> None:
    settings = TrialSettings(optimizer=optimizer, weight_decay=0.1, head_layers=1, head_width=4)  # type: ignore[arg-type]
    head = build_head(settings, 5, 2)
    squares = sum(float(np.square(layer.kernel.numpy()).sum()) for layer in dense_layers(head))
    assert float(sum(head.losses)) == pytest.approx(0.1 * squares if penalty else 0.0, rel=1e-5)


@pytest.mark.parametrize("size", [Size(8, 8), Size(8, 33), Size(28, 28)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("blocks", [1, 5])
def test_the_small_network_takes_any_size_from_8_pixels(size: Size, channels: int, blocks: int) -> None:
    model = build_cnn(TrialSettings(cnn_blocks=blocks, cnn_width=4), size, channels, 3)
    assert model.input_shape == (None, *size, channels)
    assert np.asarray(model(pixels(2, *size, channels))).shape == (2, 3)
    filters = [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert filters == [4 * 2 ** (n // 2) for n in range(2 * blocks)]


def test_pooling_stops_where_a_side_is_one_pixel() -> None:
    model = build_cnn(TrialSettings(cnn_blocks=5, cnn_width=4), Size(8, 32), 3, 3)
    windows = [layer.pool_size for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert windows == [(2, 2), (2, 2), (2, 2), (1, 2), (1, 2)]


def test_the_same_seed_gives_the_same_network() -> None:
    answers = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        answers.append(np.asarray(build_cnn(TrialSettings(cnn_width=4), Size(16, 16), 3, 3)(pixels(2, 16, 16, 3))))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.abs(answers[0] - answers[2]).max() > 1e-4


def test_uint8_and_float32_pixels_give_the_same_answer() -> None:
    model = build_cnn(TrialSettings(cnn_width=4), Size(16, 16), 3, 3)
    images = pixels(2, 16, 16, 3)
    np.testing.assert_array_equal(np.asarray(model(images)), np.asarray(model(images.astype(np.float32))))


def test_from_scratch_a_backbone_trains_as_a_whole() -> None:
    settings = TrialSettings(backbone="mobilenet_0.25", optimizer="adam", weight_decay=0.01)
    model = build_scratch(settings, Size(32, 32), 1, 4)
    assert model.output_shape == (None, 4)
    assert all(layer.trainable for layer in model.layers)
    images = pixels(4, 32, 32, 1)
    training, inference = (np.asarray(model(images, training=value)) for value in (True, False))
    assert np.abs(training - inference).max() > 1e-4
    kernels = [variable for variable in model.trainable_variables if variable.name.endswith("kernel")]
    assert len(kernels) == len(model.losses) == 28
    with pytest.raises(SettingsError, match="at least 32 x 32"):
        build_scratch(settings, Size(31, 32), 1, 4)


def test_from_scratch_cnn_is_the_small_network() -> None:
    assert build_scratch(TrialSettings(cnn_width=4), Size(16, 16), 1, 4).name == "cnn"


def test_a_trained_head_on_features_is_one_flat_model_that_reloads_bit_by_bit(tmp_path: Path) -> None:
    features = build_features("mobilenet_0.25", Size(32, 48), 3, NO_WEIGHTS)
    head = build_head(TrialSettings(head_layers=1, batch_norm=True, dropout=0.5), 256, 3)
    images = pixels(16, 32, 48, 3)
    vectors = np.asarray(features(images))
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(vectors, np.arange(16) % 3, epochs=1, verbose=0)
    model = assemble(features, head)
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    expected = np.asarray(head(vectors))
    np.testing.assert_allclose(np.asarray(model(images)), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(model(images)), np.asarray(reloaded(images)))
    assert reloaded.input_shape == (None, 32, 48, 3)


def test_an_assembled_model_keeps_its_head_when_the_trial_goes_on() -> None:
    features = build_features("mobilenet_0.25", Size(32, 32), 3, NO_WEIGHTS)
    head = build_head(TrialSettings(), 256, 3)
    model = assemble(features, head)
    images = pixels(2, 32, 32, 3)
    before = np.asarray(model(images))
    head.set_weights([np.zeros_like(value) for value in head.get_weights()])
    np.testing.assert_array_equal(np.asarray(model(images)), before)


def test_gradients_reach_the_last_feature_map_of_an_assembled_model() -> None:
    """What Grad-CAM needs; a model inside the model would cut them off."""
    import tensorflow as tf

    model = assemble(build_features("mobilenet_0.25", Size(32, 32), 3, NO_WEIGHTS), build_head(TrialSettings(), 256, 3))
    last = [layer for layer in model.layers if len(layer.output.shape) == 4][-1]
    both = keras.Model(model.input, [last.output, model.output])
    with tf.GradientTape() as tape:
        maps, answer = both(pixels(1, 32, 32, 3))
        top = answer[:, 0]
    assert float(tf.reduce_max(tf.abs(tape.gradient(top, maps)))) > 0


@pytest.mark.parametrize("name", ["mobilenet_0.25", "mobilenet_v2_0.35", "mobilenet_v2_1.0"])
def test_real_weights_give_what_keras_gives(name: str, test_weights: Path) -> None:
    weights = resolve_weights(name, (str(test_weights),))
    entry = backbone(name)
    build = getattr(keras.applications, entry.keras_name)
    reference = build(
        include_top=False, weights=str(weights.path), pooling="avg", input_shape=(96, 96, 3), **entry.arguments
    )
    images = pixels(4, 96, 96, 3)
    features = build_features(name, Size(96, 96), 3, weights)
    expected = np.asarray(reference(images / np.float32(127.5) - 1))
    np.testing.assert_allclose(np.asarray(features(images)), expected, atol=1e-4)


def test_a_real_file_of_another_backbone_is_refused_naming_both(test_weights: Path) -> None:
    weights = resolve_weights("mobilenet_v2_0.35", (str(test_weights),))
    with pytest.raises(WeightsError) as caught:
        build_features("mobilenet_v2_1.0", Size(96, 96), 3, weights)
    assert str(weights.path) in str(caught.value)
    assert "'mobilenet_v2_1.0'" in str(caught.value)
    assert backbone("mobilenet_v2_1.0").weights_file in str(caught.value)


@pytest.mark.filterwarnings("default")
def test_a_file_with_a_part_missing_is_refused_where_keras_only_warns(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    other = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(2.0)])
    other.save_weights(path)
    with pytest.raises(WeightsError, match="does not fit"):
        build_features("mobilenet_v2_0.35", Size(32, 32), 3, Weights("file", path, "0" * 64))


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_a_file_that_holds_no_weights_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match=r"damaged or does not fit the backbone 'mobilenet_0\.25'"):
        build_features("mobilenet_0.25", Size(32, 32), 3, Weights("file", path, "0" * 64))
