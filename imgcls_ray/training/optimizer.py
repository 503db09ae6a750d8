"""The optimiser of a trial."""

from typing import Any, NamedTuple

import keras

from imgcls_ray.config import TrialSettings
from imgcls_ray.training.fused import SGD, Adam, AdamW, RMSprop


class Group(NamedTuple):
    """Variables that learn at a rate of their own."""

    optimizer: keras.optimizers.Optimizer
    variables: list[Any]
    rate: float
    """Share of the trial's learning rate."""


def build_groups(settings: TrialSettings, network: keras.Model) -> list[Group]:
    """The head's variables at the full rate; before a head with unfrozen layers, theirs at `backbone_rate`."""
    if settings.unfrozen_layers == 0:
        parts = [(network.trainable_variables, 1.0)]
    else:
        *tail, head = network.layers
        unfrozen = [variable for layer in tail for variable in layer.trainable_variables]
        parts = [(unfrozen, settings.backbone_rate), (head.trainable_variables, 1.0)]
    groups = [Group(_optimizer(settings), variables, rate) for variables, rate in parts if variables]
    for group in groups:
        group.optimizer.build(group.variables)
    return groups


def _optimizer(settings: TrialSettings) -> keras.optimizers.Optimizer:
    """The optimiser with its own learning rate left to the loop, which sets it before each step."""
    match settings.optimizer:
        case "sgd":
            return SGD(settings.learning_rate, momentum=settings.momentum, nesterov=True)
        case "rmsprop":
            return RMSprop(settings.learning_rate, momentum=settings.momentum)
        case "adamw":
            return AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
        case "adam":
            return Adam(settings.learning_rate)
