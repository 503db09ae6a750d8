import keras
import numpy as np
import pytest

from imgcls_ray.config import Size
from imgcls_ray.errors import SettingsError
from imgcls_ray.models.features import build_features
from imgcls_ray.models.tail import section, trainable_copy, trunk
from imgcls_ray.models.weights import NO_WEIGHTS
from tests.conftest import assert_same


@pytest.fixture(scope="module", params=["mobilenet_v2_0.35", "efficientnet_b0", "resnet50", "densenet121"])
def features(request: pytest.FixtureRequest) -> keras.Model:
    return build_features(request.param, Size(32, 32), 3, NO_WEIGHTS)


def test_trunk_and_section_together_are_the_whole(features: keras.Model) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    whole = features(images).numpy()
    maps = trunk(features, 10)(images)
    part = section(features, 10, 4)(maps)
    assert_same(section(features, 10, 0)(maps).numpy(), whole)
    assert_same(section(features, 4, 0)(part).numpy(), whole)


def test_a_copy_trains_at_least_the_layers_asked_for_and_leaves_the_backbone(features: keras.Model) -> None:
    copy = trainable_copy(section(features, 4, 0))
    kernels = [v for v in copy.trainable_variables if "kernel" in v.name]
    assert len(kernels) >= 4
    assert not features.trainable_variables
    assert not any(isinstance(layer, keras.layers.BatchNormalization) and layer.trainable for layer in copy.layers)
    before = [w.copy() for w in features.get_weights()]
    kernels[0].assign(kernels[0] + 1)
    for old, new in zip(before, features.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_more_layers_than_there_are_is_refused(features: keras.Model) -> None:
    with pytest.raises(SettingsError, match="to unfreeze"):
        section(features, 5000, 0)


def test_no_unfrozen_layer_means_the_features_themselves(features: keras.Model) -> None:
    assert trunk(features, 0) is features
