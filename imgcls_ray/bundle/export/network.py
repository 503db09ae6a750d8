"""The network that is exported: the bundle's, calibrated, of layers that every runtime reads."""

from typing import Any

import keras
import numpy as np

from imgcls_ray.inference.calibration import TINY, Calibration

_AFFINE = {"Add": (1.0, 1.0), "Subtract": (1.0, -1.0)}


def export_network(model: keras.Model, calibration: Calibration) -> keras.Model:
    """A copy of a flat `model` from pixels (n, H, W, C) 0-255 to calibrated probabilities (n, K).

    Three things are put another way, because some runtime can't take them as they are:
    `Normalization` becomes `Rescaling` (its constants have no names in a TensorFlow graph: ONNX loses them);
    a tensor plus or times a number becomes `Rescaling` too (HDF5 files can't keep such an operation: MobileNetV3 has
    it); and the temperature goes into the weights of the last layer, where that is a softmax.
    """
    copies: dict[str, keras.layers.Layer] = {}

    def copied(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer
        if isinstance(layer, keras.layers.Normalization):
            return _rescaling(layer)
        copies[layer.name] = type(layer).from_config(layer.get_config())
        return copies[layer.name]

    def applied(operation: Any, *args: Any, **kwargs: Any) -> Any:
        rescaling = None if isinstance(operation, keras.layers.Layer) else _affine(operation, args)
        return operation(*args, **kwargs) if rescaling is None else rescaling(args[0])

    clone = keras.models.clone_model(model, clone_function=copied, call_function=applied)
    for layer in model.layers:
        if layer.name in copies:
            copies[layer.name].set_weights(layer.get_weights())
    return _tempered(clone, calibration.temperature)


def _rescaling(layer: keras.layers.Normalization) -> keras.layers.Layer:
    """(x - mean) / deviation as x * scale + offset."""
    mean, variance = (np.asarray(value, np.float64).reshape(-1) for value in (layer.mean, layer.variance))
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return keras.layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=layer.name)


def _affine(operation: Any, args: tuple[Any, ...]) -> keras.layers.Layer | None:
    """The `Rescaling` that does what an operation does to a tensor and a number; None for all else."""
    if len(args) != 2 or not isinstance(args[1], int | float) or isinstance(args[1], bool):
        return None
    kind, number = type(operation).__name__, float(args[1])
    if kind in _AFFINE:
        factor, sign = _AFFINE[kind]
        return keras.layers.Rescaling(factor, sign * number)
    if kind == "Multiply":
        return keras.layers.Rescaling(number)
    return keras.layers.Rescaling(1 / number) if kind == "TrueDivide" else None


def _tempered(network: keras.Model, temperature: float) -> keras.Model:
    """`network` (the caller's own) with its logits divided by `temperature`."""
    if temperature == 1:
        return network
    last = network.layers[-1]
    if isinstance(last, keras.layers.Dense) and last.activation is keras.activations.softmax:
        last.set_weights([weights / temperature for weights in last.get_weights()])
        return network
    # Averages of several networks have no logits: what softmax would have made these probabilities of.
    x = keras.ops.log(keras.layers.Rescaling(1.0, TINY)(network.output))
    x = keras.layers.Rescaling(1 / temperature)(x)
    return keras.Model(network.input, keras.layers.Softmax(name="calibrated")(x), name=network.name)
