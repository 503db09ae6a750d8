"""How large the network of a trial is, from its shapes alone: nothing is trained, and no weights are read."""

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import keras

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import InputError
from imgcls_ray.models.backbones import SCRATCH
from imgcls_ray.models.bundled import find_backbone
from imgcls_ray.models.features import build_features
from imgcls_ray.models.network import build_head, build_scratch
from imgcls_ray.models.tail import section
from imgcls_ray.models.weights import NO_WEIGHTS
from imgcls_ray.training.job import Input

FLOAT = 4
"""Bytes of a number; all weights and activations are float32."""


@dataclass(frozen=True)
class Footprint:
    """Counts of numbers."""

    parameters: int
    """Weights of the whole network, trained or not, as a bundle holds them."""
    trainable: int
    """Those that the trial trains."""
    activations: int
    """What the layers give out of one sample, of the part that is trained: all of it is kept for the gradients."""

    @property
    def size_mb(self) -> float:
        """The weights of the whole network in 10^6 bytes."""
        return FLOAT * self.parameters / 1e6

    def memory_mb(self, settings: TrialSettings, workers: int = 1) -> float:
        """About what training takes on one worker, in 10^6 bytes.

        4 x (parameters + trainable x (1 + slots) + activations x samples): the weights; a gradient and the optimiser's
        slots for each trained one (adam, adamw 2; sgd and rmsprop 0 and 1, one more with momentum); what the layers
        give out, for the worker's samples of a batch. The data, TensorFlow itself and what single operations take for
        a moment come on top.
        """
        samples = math.ceil(settings.batch_size / workers)
        numbers = self.parameters + self.trainable * (1 + slots(settings)) + self.activations * samples
        return FLOAT * numbers / 1e6


def slots(settings: TrialSettings) -> int:
    """Numbers that the optimiser keeps of each weight."""
    momentum = int(settings.momentum > 0)
    return {"adam": 2, "adamw": 2, "sgd": momentum, "rmsprop": 1 + momentum}[settings.optimizer]


def footprint(settings: TrialSettings, given: Input) -> Footprint:
    """Of the network that these settings make. Each part is built once in a process; its random weights are dropped.

    Raises:
        SettingsError: the backbone has fewer layers than are to be unfrozen.
    """
    if given.pretrained:
        trunk, width = _pretrained(settings.backbone, given, settings.unfrozen_layers)
    else:
        shape = {name: getattr(settings, name) for name in ("backbone", "cnn_blocks", "cnn_width")}
        trunk, width = _scratch(TrialSettings(**shape), given)
    shape = {name: getattr(settings, name) for name in ("head", "head_layers", "head_width", "batch_norm")}
    # Any dropout has the same shapes.
    head = _head(TrialSettings(dropout=0.5 if settings.dropout else 0.0, **shape), width, given.classes)
    return Footprint(
        trunk.parameters + head.parameters,
        trunk.trainable + head.trainable,
        trunk.activations + head.activations,
    )


@cache
def parameters_of(settings: TrialSettings, classes: int, channels: int) -> int | None:
    """Weights of a trial's network, trained or not; None where its backbone is gone.

    They do not depend on the size of the pictures, so a journal is enough to count them.
    """
    try:
        scratch = settings.backbone == SCRATCH
        entry = None if scratch else find_backbone(settings.backbone)
        size, own = (entry.native_size, entry.channels) if entry else (_ANY, None)
        given = Input(size, own or channels, classes, not scratch)
        return footprint(settings.model_copy(update={"unfrozen_layers": 0}), given).parameters
    except InputError:
        return None


_ANY = Size(32, 32)


@lru_cache(1024)
def _head(shape: TrialSettings, width: int, classes: int) -> Footprint:
    return _counted(build_head(shape, width, classes))


@lru_cache(1024)
def _scratch(shape: TrialSettings, given: Input) -> tuple[Footprint, int]:
    """What comes before the head, all of it trained, and how many features it gives out."""
    model = build_scratch(shape, given.size, given.channels, given.classes)
    trunk = keras.Model(model.input, model.layers[-1].input)
    return _counted(trunk), trunk.output_shape[-1]


@lru_cache(256)
def _pretrained(name: str, given: Input, unfrozen: int) -> tuple[Footprint, int]:
    """The same of a backbone of which the last layers are trained, but for batch normalisation, which stays frozen."""
    features = _features(name, given.size, given.channels)
    trainable = activations = 0
    if unfrozen:
        part = section(features, unfrozen, 0)
        trained = [layer for layer in part.layers if not isinstance(layer, keras.layers.BatchNormalization)]
        trainable = sum(math.prod(weight.shape) for layer in trained for weight in layer.weights)
        activations = _activations(part)
    return Footprint(features.count_params(), trainable, activations), features.output_shape[-1]


@lru_cache(1)
def _features(name: str, size: Size, channels: int) -> keras.Model:
    return build_features(name, size, channels, NO_WEIGHTS)


def _counted(model: keras.Model) -> Footprint:
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Footprint(model.count_params(), trainable, _activations(model))


def _activations(model: keras.Model) -> int:
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    outputs = [tensor for layer in layers for tensor in keras.tree.flatten(layer.output)]
    return sum(math.prod(tensor.shape[1:]) for tensor in outputs)
