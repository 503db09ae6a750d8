"""First-layer filters and feature maps."""

import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import ModelError
from imgcls_ray.explain.features import feature_maps
from imgcls_ray.explain.filters import as_picture, first_filters
from imgcls_ray.models.network import build_cnn
from tests.explain.test_gradcam import finder, patched, probe


@pytest.mark.parametrize("backbone", ["mobilenet_v2_0.35", "resnet50", "densenet121"])
def test_a_red_filter_is_red_whatever_the_scaling(backbone: str) -> None:
    model = probe(backbone)
    layer = next(one for one in model.layers if isinstance(one, keras.layers.Conv2D))
    # resnet50 was trained on blue, green, red; its first kernel has them in that order.
    red = 2 if backbone == "resnet50" else 0
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[:, :, red, 0] = -0.5
    layer.set_weights([kernel, *layer.get_weights()[1:]])
    filters = first_filters(model)
    assert filters.shape == (kernel.shape[3], *kernel.shape[:2], 3)
    np.testing.assert_allclose(filters[0, ..., 0], -1, atol=1e-5)
    np.testing.assert_allclose(filters[0, ..., 1:], 0, atol=1e-5)
    assert filters[1:].max() == 0
    assert as_picture(filters)[0, 0, 0].tolist() == [0, 128, 128]


def test_gray_pictures_have_gray_filters() -> None:
    model = build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4), Size(16, 16), 1, 2)
    assert first_filters(model).shape == (4, 3, 3, 1)


def test_without_a_convolution_there_are_none() -> None:
    pixels = keras.Input((5,))
    with pytest.raises(ModelError, match="has none"):
        first_filters(keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(pixels)))


def test_feature_maps_are_of_each_size_and_show_the_patch() -> None:
    found = feature_maps(finder(), np.stack([patched(8, 8), patched(24, 20)]), channels=3)
    assert [stage.maps.shape for stage in found] == [(2, 3, 32, 32), (2, 3, 16, 16), (2, 3, 8, 8)]
    assert {stage.of for stage in found} == {4}
    for stage in found:
        assert stage.maps.min() == 0
        assert stage.maps.max() == 1
        side = stage.maps.shape[2]
        rows, columns = np.divmod(stage.maps[:, 0].reshape(2, -1).argmax(axis=1), side)
        assert np.abs(rows / side - np.array([8, 24]) / 32).max() <= 0.15
        assert np.abs(columns / side - np.array([8, 20]) / 32).max() <= 0.15


def test_a_backbone_has_maps_from_fine_to_coarse() -> None:
    found = feature_maps(probe("mobilenet_v2_0.35", 64), np.zeros((1, 64, 64, 3), np.uint8))
    sides = [stage.maps.shape[-1] for stage in found]
    assert sides == sorted(sides, reverse=True) == [32, 16, 8, 4, 2]
    assert {stage.channels.shape for stage in found} == {(1, 8)}
