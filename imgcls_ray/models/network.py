"""The networks that trials train: heads on features, the small network from scratch, and both joined into one model.

Each outputs softmax probabilities (n, classes) float32. Set the trial's seed first: `keras.utils.set_random_seed`.
"""

from typing import Any

import keras

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.models.backbones import SCRATCH, backbone
from imgcls_ray.models.bundled import HEAD, OUTPUT
from imgcls_ray.models.features import CLASSIFIER, backbone_model, build_features
from imgcls_ray.models.weights import NO_WEIGHTS

__all__ = ["assemble", "build_cnn", "build_features", "build_head", "build_scratch"]

NORM_MOMENTUM = 0.9
"""Of the moving statistics. Keras' 0.99 needs hundreds of steps: more than an early rung has on small data."""

HEADS: dict[str, dict[str, object]] = {
    "none": {"head_layers": 0, "batch_norm": False, "dropout": 0.0},
    "light": {"head_layers": 1, "head_width": 256, "activation": "relu", "batch_norm": True, "dropout": 0.5},
    "heavy": {"head_layers": 2, "head_width": 256, "activation": "relu", "batch_norm": False, "dropout": 0.8},
}
"""What a named `head` sets. `light` and `heavy` are those of sushi-or-sandwich, for MobileNet and for ResNet50 or
InceptionV3; there `light` has its first batch normalisation before the global average."""


def build_head(settings: TrialSettings, features: int, classes: int) -> keras.Model:
    """A classifier on feature vectors (n, features) float32.

    `head_layers` times dense (`head_width`), batch normalisation if asked, `activation`, `dropout`; then the softmax.
    A named `head` sets these (`HEADS`).
    The L2 penalty of `weight_decay` (all but adamw) sits on the kernels: `fit` adds it, any other loop has to add
    `sum(model.losses)`.
    """
    vector = keras.Input((features,), name="features")
    return _penalised(keras.Model(vector, _classified(vector, settings, classes), name="head"), settings)


def build_cnn(settings: TrialSettings, size: Size, channels: int, classes: int) -> keras.Model:
    """The small network from scratch, on pixels (n, H, W, channels) 0-255, float32 or uint8.

    `cnn_blocks` blocks of two 3x3 convolutions, each with batch normalisation and ReLU, then 2x2 max pooling; the first
    block has `cnn_width` filters and each further one twice as many; a side of one pixel is not pooled further. Then
    the global average and what `build_head` has. Takes pictures of 8 pixels and more.
    """
    pixels = keras.Input((size.height, size.width, channels), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    for block in range(settings.cnn_blocks):
        for conv in range(2):
            name = f"block{block}_conv{conv}"
            filters = settings.cnn_width * 2**block
            x = keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
            )(x)
            x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        window = (min(2, x.shape[1]), min(2, x.shape[2]))
        if window != (1, 1):
            x = keras.layers.MaxPooling2D(window, name=f"block{block}_pool")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(x)
    return _penalised(keras.Model(pixels, _classified(x, settings, classes), name=SCRATCH), settings)


def build_scratch(settings: TrialSettings, size: Size, channels: int, classes: int) -> keras.Model:
    """A whole network with random weights, all of it trainable: `cnn`, or the backbone with a head on it.

    Batch normalisation and dropout follow `training`. Input as in `build_cnn`.

    Raises:
        SettingsError: no such backbone, or pictures smaller than it can take.
    """
    if settings.backbone == SCRATCH:
        return build_cnn(settings, size, channels, classes)
    trunk = backbone_model(backbone(settings.backbone), size, channels, NO_WEIGHTS)
    model = keras.Model(trunk.input, _classified(trunk.output, settings, classes), name=settings.backbone)
    return _penalised(model, settings)


def assemble(features: keras.Model, head: keras.Model) -> keras.Model:
    """One flat model from pixels to probabilities: `features` (shared, not copied), then a copy of `head`.

    It saves to `.keras` and reloads bit by bit the same in safe mode.
    """
    x = features.output
    for layer in head.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            copy = type(layer).from_config(layer.get_config())
            x = copy(x)
            copy.set_weights(layer.get_weights())
    return keras.Model(features.input, x, name=features.name + CLASSIFIER)


def _classified(x: Any, settings: TrialSettings, classes: int) -> Any:
    """Hidden layers and the softmax on a feature vector."""
    settings = settings.model_copy(update=HEADS.get(settings.head))
    if settings.batch_norm:
        x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{HEAD}norm")(x)
    if settings.dropout:
        x = keras.layers.Dropout(settings.dropout, name=f"{HEAD}dropout")(x)
    for number in range(1, settings.head_layers + 1):
        name = f"{HEAD}dense{number}"
        x = keras.layers.Dense(settings.head_width, use_bias=not settings.batch_norm, name=name)(x)
        if settings.batch_norm:
            x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm")(x)
        x = keras.layers.Activation(settings.activation, name=f"{name}_{settings.activation}")(x)
        if settings.dropout:
            x = keras.layers.Dropout(settings.dropout, name=f"{name}_dropout")(x)
    return keras.layers.Dense(classes, activation="softmax", name=OUTPUT)(x)


def _penalised(model: keras.Model, settings: TrialSettings) -> keras.Model:
    """L2 on each kernel for the optimisers that do not decay weights themselves."""
    if settings.weight_decay and settings.optimizer != "adamw":
        # On the variables rather than the layers, so that backbones get it too and saved models carry none of it.
        for variable in model.trainable_variables:
            if variable.name.endswith("kernel"):
                variable.regularizer = keras.regularizers.L2(settings.weight_decay)
    return model
