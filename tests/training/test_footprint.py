"""The counts of shapes against the networks themselves."""

import math
from typing import Any

import keras
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.models import NO_WEIGHTS
from imgcls_ray.models.features import build_features
from imgcls_ray.models.network import build_head
from imgcls_ray.models.tail import section, trainable_copy
from imgcls_ray.training.footprint import footprint, parameters_of
from imgcls_ray.training.job import Input
from imgcls_ray.training.network import untrained_network
from imgcls_ray.training.optimizer import build_groups

NAME, SIZE = "mobilenet_v2_0.35", Size(32, 32)
HEAD = {"head_layers": 2, "head_width": 16, "batch_norm": True, "dropout": 0.1}


def numbers(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


@pytest.mark.parametrize(
    ("settings", "pretrained"),
    [
        ({"backbone": "cnn", "cnn_blocks": 2, "cnn_width": 8, **HEAD}, False),
        ({"backbone": "cnn", "cnn_blocks": 1, "cnn_width": 4, "head": "heavy"}, False),
        ({"backbone": NAME, "head": "light"}, False),
        ({"backbone": NAME}, True),
        ({"backbone": NAME, "unfrozen_layers": 4, **HEAD}, True),
    ],
)
def test_the_size_is_that_of_the_weights_that_are_saved(settings: dict[str, Any], pretrained: bool) -> None:
    trial, given = TrialSettings(**settings), Input(SIZE, 3, 5, pretrained)
    arrays = untrained_network(trial, given).get_weights()
    assert footprint(trial, given).size_mb == sum(array.size * 4 for array in arrays) / 1e6


def test_what_is_trained_is_what_the_trial_trains() -> None:
    given = Input(SIZE, 3, 5, True)
    head = build_head(TrialSettings(**HEAD), 1280, 5)
    frozen = footprint(TrialSettings(backbone=NAME, **HEAD), given)
    assert frozen.trainable == numbers(head.trainable_weights)
    tail = trainable_copy(section(build_features(NAME, SIZE, 3, NO_WEIGHTS), 4, 0))
    unfrozen = footprint(TrialSettings(backbone=NAME, unfrozen_layers=4, **HEAD), given)
    assert unfrozen.trainable == frozen.trainable + numbers(tail.trainable_weights)
    assert unfrozen.parameters == frozen.parameters
    assert unfrozen.activations > frozen.activations


@pytest.mark.parametrize(
    ("optimizer", "momentum", "slots"),
    [("adam", 0.9, 2), ("adamw", 0.9, 2), ("sgd", 0.9, 1), ("sgd", 0.0, 0), ("rmsprop", 0.9, 2), ("rmsprop", 0.0, 1)],
)
def test_the_memory_is_weights_and_gradients_and_slots_and_activations(
    optimizer: Any, momentum: float, slots: int
) -> None:
    """A head of one layer on 1280 features: 1280 x 10 + 10, then 10 x 2 + 2; it gives out 10, 10 and 2 numbers."""
    settings = TrialSettings(
        backbone=NAME, head_layers=1, head_width=10, optimizer=optimizer, momentum=momentum, batch_size=65
    )
    found = footprint(settings, Input(SIZE, 3, 2, True))
    trained = 1280 * 10 + 10 + 10 * 2 + 2
    assert found.memory_mb(settings) == 4 * (found.parameters + trained * (1 + slots) + 22 * 65) / 1e6
    assert found.memory_mb(settings, workers=2) == 4 * (found.parameters + trained * (1 + slots) + 22 * 33) / 1e6
    head = build_head(settings, 1280, 2)
    kept = [variable for group in build_groups(settings, head) for variable in group.optimizer.variables]
    assert numbers([variable for variable in kept if variable.shape != ()]) == trained * slots


def test_the_activations_are_what_the_layers_give_out() -> None:
    settings, given = TrialSettings(backbone="cnn", cnn_blocks=1, cnn_width=4), Input(Size(8, 8), 1, 3, False)
    model = untrained_network(settings, given)
    pixels = keras.Model(model.input, [layer.output for layer in model.layers[1:]])(keras.ops.zeros((1, 8, 8, 1)))
    assert footprint(settings, given).activations == sum(math.prod(tensor.shape) for tensor in pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", ["cnn", NAME])
def test_what_a_journal_tells_is_enough_to_count_the_weights(backbone: str, channels: int) -> None:
    settings = TrialSettings(backbone=backbone, cnn_blocks=1, cnn_width=4)
    network = untrained_network(settings, Input(Size(32, 32), channels, 3, False))
    assert parameters_of(settings, 3, channels) == network.count_params()
