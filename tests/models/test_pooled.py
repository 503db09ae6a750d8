"""Features beside probabilities, of single networks and ensembles."""

import keras
import numpy as np

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.models.joining import join
from imgcls_ray.models.network import assemble, build_cnn, build_head
from imgcls_ray.models.pooled import with_features, without_features

SIZE = Size(16, 16)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.float32)


def cnn(seed: int, **settings: object) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4, **settings), SIZE, 3, 3)  # type: ignore[arg-type]


def test_what_the_head_takes_stands_behind_the_probabilities() -> None:
    for model in (cnn(0), cnn(0, head_layers=1, head_width=16, batch_norm=True, dropout=0.2)):
        both = with_features(model)
        assert both is not None
        rows = np.asarray(both(IMAGES, training=False))
        pooled = keras.Model(model.input, model.get_layer("pooled").output)
        assert np.array_equal(rows[:, :3], np.asarray(model(IMAGES, training=False)))
        assert np.array_equal(rows[:, 3:], np.asarray(pooled(IMAGES, training=False)))
        assert np.array_equal(np.asarray(without_features(both)(IMAGES, training=False)), rows[:, :3])


def test_members_of_an_ensemble_share_features_or_have_their_own() -> None:
    body = cnn(0)
    trunk = keras.Model(body.input, body.get_layer("pooled").output)
    keras.utils.set_random_seed(1)
    heads = [build_head(TrialSettings(), 4, 3) for _ in range(2)]
    shared = with_features(join([(assemble(trunk, head), 0.5) for head in heads], "shared"))
    apart = with_features(join([(cnn(1), 0.5), (cnn(2), 0.5)], "apart"))
    assert (shared and shared.output_shape, apart and apart.output_shape) == ((None, 7), (None, 11))


def test_a_network_without_a_head_of_ours_gives_none_out() -> None:
    pixels = keras.Input((16, 16, 3))
    plain = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(pixels)))
    assert with_features(plain) is None
    assert without_features(plain) is plain
