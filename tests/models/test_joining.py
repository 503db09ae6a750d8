"""Several networks as one: the average of their answers, and what they have in common only once."""

from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.bundle.archive import check_archive
from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import ModelError
from imgcls_ray.models import NO_WEIGHTS
from imgcls_ray.models.bundled import is_head
from imgcls_ray.models.joining import Joining, join
from imgcls_ray.models.network import assemble, build_cnn, build_features, build_head
from imgcls_ray.models.tail import section

NAME = "mobilenet_v2_0.35"


def pictures(side: int = 32) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, side, side, 3)).astype(np.float32)


def answers(model: keras.Model) -> np.ndarray:
    return np.asarray(model(pictures(model.input_shape[1]), training=False))


@pytest.fixture(scope="module")
def features() -> keras.Model:
    return build_features(NAME, Size(32, 32), 3, NO_WEIGHTS)


def head(features: keras.Model, seed: int, **settings: object) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_head(TrialSettings.model_validate({"backbone": NAME, **settings}), features.output_shape[-1], 4)


def test_heads_on_one_backbone_share_all_of_it(features: keras.Model, tmp_path: Path) -> None:
    heads = [head(features, 0), head(features, 1, head_layers=1, head_width=8, batch_norm=True, dropout=0.2)]
    members = [assemble(features, one) for one in heads]
    joined = join(list(zip(members, (0.3, 0.7), strict=True)), "joined")
    expected = 0.3 * answers(members[0]) + 0.7 * answers(members[1])
    np.testing.assert_allclose(answers(joined), expected, rtol=0, atol=1e-6)
    assert joined.count_params() == features.count_params() + sum(one.count_params() for one in heads)
    kept = [layer for layer in joined.layers if not is_head(layer.name)]
    assert [layer.name for layer in kept] == [layer.name for layer in features.layers]
    assert not any(layer.trainable for layer in kept if layer.weights)
    # It is a network like any other: stock layers only, and the same answers once it was saved.
    file = tmp_path / "model.keras"
    joined.save(file)
    check_archive(file)
    again = keras.saving.load_model(file, compile=False, safe_mode=True)
    np.testing.assert_array_equal(answers(again), answers(joined))


def test_trials_that_trained_the_last_layers_share_what_lies_before(features: keras.Model) -> None:
    before = features.get_weights()
    tail = section(features, 4, 0)
    joining = Joining()
    given = []
    for seed in range(2):
        chance = np.random.default_rng(seed)
        for layer in tail.layers:
            layer.set_weights([value + chance.normal(0, 0.01, value.shape) for value in layer.get_weights()])
        member = assemble(features, head(features, seed))
        given.append(answers(member))
        joining.add(member, 0.5)
        features.set_weights(before)
    joined = joining.model("joined")
    np.testing.assert_allclose(answers(joined), (given[0] + given[1]) / 2, rtol=0, atol=1e-6)
    own = tail.count_params() + head(features, 0).count_params()
    assert joined.count_params() == features.count_params() - tail.count_params() + 2 * own


def test_whole_networks_share_nothing_but_their_scaling() -> None:
    members = []
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        members.append(build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4), Size(16, 16), 3, 4))
    joined = join([(member, 1 / 3) for member in members], "joined")
    np.testing.assert_allclose(answers(joined), sum(answers(one) for one in members) / 3, rtol=0, atol=1e-6)
    assert joined.count_params() == sum(one.count_params() for one in members)
    assert sum(isinstance(layer, keras.layers.Rescaling) for layer in joined.layers) == 1 + 3


@pytest.mark.parametrize("name", ["efficientnet_b0", "vgg16"])
def test_layers_that_derive_something_from_their_weights_and_operations_are_copied_right(name: str) -> None:
    features = build_features(name, Size(32, 32), 3, NO_WEIGHTS)
    members = [assemble(features, head(features, seed)) for seed in range(2)]
    joined = join([(member, 0.5) for member in members], "joined")
    np.testing.assert_allclose(answers(joined), sum(answers(one) for one in members) / 2, rtol=0, atol=1e-6)
    assert len(joined.layers) == len(features.layers) + 2 * 2 + 1  # two softmaxes, two shares, their sum


def test_networks_that_do_not_fit_each_other_are_refused() -> None:
    def cnn(side: int, classes: int) -> keras.Model:
        return build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4), Size(side, side), 3, classes)

    for other in (cnn(24, 4), cnn(16, 3)):
        with pytest.raises(ModelError, match="join trials of one image size"):
            join([(cnn(16, 4), 0.5), (other, 0.5)], "joined")


def test_a_join_that_answers_otherwise_is_refused() -> None:
    keras.utils.set_random_seed(0)
    member = build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4), Size(16, 16), 3, 4)
    joining = Joining()
    joining.add(member, 0.5)
    joining.add(member, 0.5)
    joining._expected[0] += 0.01
    with pytest.raises(ModelError, match="as the average of its members"):
        joining.model("joined")
