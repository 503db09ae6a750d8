"""Frozen features: a backbone from pixels to its pooled feature vector, as one flat Keras model."""

import random
import warnings
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from imgcls_ray.config import Size
from imgcls_ray.errors import SettingsError, WeightsError
from imgcls_ray.models.backbones import KerasBackbone, backbone
from imgcls_ray.models.bundled import bundled, check_file, is_bundled, is_head, model_file
from imgcls_ray.models.saved import load_network
from imgcls_ray.models.scaling import TORCH_MEAN, TORCH_STD, scale, to_rgb
from imgcls_ray.models.weights import Weights

CLASSIFIER = "_classifier"
"""What a backbone's name gets when a head is put on it."""


def build_features(name: str, size: Size, channels: int, weights: Weights) -> keras.Model:
    """The backbone `name` as a frozen feature extractor.

    Input (n, H, W, channels), RGB or gray, 0-255, float32 or uint8; output (n, features) float32, globally averaged.
    Scaling is inside. The graph is flat (no model inside a model): gradients and feature maps of any layer can be had.
    Batch normalisation works in inference mode and dropout is off even under `training=True`: layers are frozen one by
    one, which a saved model keeps. Without weights the random values are the same in every process.

    Of a bundle it is the network up to its head, with the bundle's own weights whatever is given; where these are the
    bundle's as they were found, the file has to be the same still.

    Raises:
        SettingsError: no such backbone, or pictures that it can't take.
        WeightsError: the file does not fit the backbone.
        ModelError: the bundle is gone or was changed.
    """
    if is_bundled(name):
        model = _before_head(name, size, channels, weights)
    else:
        model = _built(backbone(name), size, channels, weights)
    for layer in model.layers:
        layer.trainable = False
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def _built(entry: KerasBackbone, size: Size, channels: int, weights: Weights) -> keras.Model:
    """An architecture of Keras; without weights it has the same random ones each time."""
    if weights.path is None:
        # Keras draws each initialiser's seed from Python's generator: set for the while, and the caller's is not spent.
        state = random.getstate()
        random.seed(0)
        try:
            return backbone_model(entry, size, channels, weights)
        finally:
            random.setstate(state)
    return backbone_model(entry, size, channels, weights)


def _before_head(name: str, size: Size, channels: int, weights: Weights) -> keras.Model:
    """A bundle's network from its pictures to what its head got; for another size through the same layers."""
    file = weights.path or model_file(name)  # a name may be a relative path, and this process be somewhere else
    entry = bundled(name, file)
    entry.check_pictures(size, channels)
    if weights.path:
        check_file(file, weights.sha256)
    whole = load_network(file)
    first = next(layer for layer in whole.layers if is_head(layer.name))
    features = keras.Model(whole.input, first.input, name=whole.name.removesuffix(CLASSIFIER))
    if size == entry.native_size:
        return features
    try:
        pixels = keras.Input((size.height, size.width, channels), name="pixels")
        other = keras.models.clone_model(features, input_tensors=pixels)
    except ValueError as error:  # how Keras says that nothing would be left of a map
        raise SettingsError(
            f"The network of the backbone '{name}' can't take pictures of {size} pixels; it was trained on "
            f"{entry.native_size}: choose a size nearer to that."
        ) from error
    other.set_weights(features.get_weights())
    for layer in other.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # which alone takes over the mean and the variance that it computes with
    return other


def backbone_model(entry: KerasBackbone, size: Size, channels: int, weights: Weights) -> keras.Model:
    """Pixels to pooled features, all of it trainable; batch normalisation and dropout follow `training`."""
    entry.check_pictures(size, channels)
    pixels = keras.Input((size.height, size.width, channels), name="pixels")
    scaled = scale(to_rgb(pixels, channels), entry.scaling)
    build = getattr(keras.applications, entry.keras_name)
    inner = build(include_top=False, weights=None, pooling="avg", input_tensor=scaled, **entry.arguments)
    # Files know nothing of the layers before `scaled`, and Keras matches by position: load through a part without them.
    _load(keras.Model(scaled, inner.output), entry, weights)
    # An outer model over single tensors: Keras' own has lists and warns of the structure of its inputs at each call.
    model = keras.Model(pixels, inner.output, name=entry.name)
    return _flat(model) if any(isinstance(layer, keras.Sequential) for layer in model.layers) else model


def _load(model: keras.Model, entry: KerasBackbone, weights: Weights) -> None:
    if weights.path is not None:
        try:
            with warnings.catch_warnings():
                # Keras only warns where a whole part of the model is not in the file and stays random.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(weights.path)
        except (ValueError, OSError, KeyError, TypeError, BadZipFile, UserWarning) as error:
            # Keras' own remarks speak of its containers; they stay in the traceback.
            raise WeightsError(
                f"The weights file '{weights.path}' is damaged or does not fit the backbone '{entry.name}', which "
                f"takes a file like Keras' own '{entry.weights_file}', without the classification layer."
            ) from error
    if entry.keras_name.startswith("EfficientNetB"):
        _standardise(model, pretrained=weights.path is not None)


def _standardise(model: keras.Model, pretrained: bool) -> None:
    """Divide once more by the root of the deviation, which Keras does only for `weights="imagenet"`.

    EfficientNet was trained with (x - mean) / std^1.5 (github.com/tensorflow/tensorflow/issues/49930); Keras adds a
    layer for it that a model built with a file or without weights lacks, and its features are then quietly wrong.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, variance, count = (np.asarray(value) for value in layer.get_weights())
            if not pretrained:
                mean, variance = np.asarray(TORCH_MEAN, "float32"), np.square(np.asarray(TORCH_STD, "float32"))
            layer.set_weights([mean, variance * np.asarray(TORCH_STD, "float32"), count])
            layer.finalize_state()
            return


def _flat(model: keras.Model) -> keras.Model:
    """A copy of `model` with the layers of its Sequential parts in their place (ConvNeXt has such parts)."""
    copies: dict[str, keras.layers.Layer] = {}

    def copied(layer: Any) -> Any:
        if isinstance(layer, keras.Sequential) or not isinstance(layer, keras.layers.Layer):
            return layer
        copies[layer.name] = type(layer).from_config(layer.get_config())
        return copies[layer.name]

    def applied(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(layer, keras.Sequential):
            return layer(*args, **kwargs)
        (x,) = args
        for part in layer.layers:
            x = copied(part)(x)
        return x

    clone = keras.models.clone_model(model, clone_function=copied, call_function=applied)
    for layer in model.layers:
        for part in layer.layers if isinstance(layer, keras.Sequential) else [layer]:
            if part.weights:
                copies[part.name].set_weights(part.get_weights())
    return clone
