"""A network of layers that every runtime and every kind of file can take."""

from typing import Any

import keras
import numpy as np


def plain(model: keras.Model) -> keras.Model:
    """A copy of a flat `model` that answers the same in inference, within rounding, without what somebody can't take.

    ONNX loses the constants of `Normalization`, which have no names in a TensorFlow graph; HDF5 files can't keep
    operations that are no layers (MobileNetV3's sums with numbers, the flip to BGR of ResNet and VGG), nor classes that
    are no public layers (those of ConvNeXt and InceptionResNetV2). A convolution in groups of one channel is compiled
    by XLA in a TensorFlow graph, which ONNX can't hold: it is a depthwise one.
    """
    copies: dict[str, keras.layers.Layer] = {}

    def copied(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer
        other = _other_layer(layer)
        if other is None:
            same = not _is_depthwise(layer)
            other = type(layer).from_config(layer.get_config()) if same else _depthwise(layer)
            copies[layer.name] = other
        return other

    def applied(operation: Any, *args: Any, **kwargs: Any) -> Any:
        found = _applied_otherwise(operation, args)
        return operation(*args, **kwargs) if found is None else found

    clone = keras.models.clone_model(model, clone_function=copied, call_function=applied)
    for layer in model.layers:
        if layer.name in copies:
            weights = layer.get_weights()
            if _is_depthwise(layer):  # (h, w, 1, channels) is (h, w, channels, 1) there
                weights[0] = weights[0].transpose(0, 1, 3, 2)
            copies[layer.name].set_weights(weights)
    return clone


def _is_depthwise(layer: keras.layers.Layer) -> bool:
    """Whether a convolution takes each channel by itself and gives one for it."""
    return isinstance(layer, keras.layers.Conv2D) and 1 < layer.groups == layer.filters == layer.input.shape[-1]


def _depthwise(layer: keras.layers.Conv2D) -> keras.layers.DepthwiseConv2D:
    return keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        activation=layer.activation,
        use_bias=layer.use_bias,
        name=layer.name,
    )


def _other_layer(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The layer to take in the place of `layer`; None where it can stay."""
    kind = type(layer).__name__
    if isinstance(layer, keras.layers.Normalization):
        mean, variance = (np.asarray(value, np.float64).reshape(-1) for value in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        return keras.layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=layer.name)
    if kind == "LayerScale":
        return keras.layers.Rescaling(layer.get_weights()[0].tolist(), name=layer.name)
    return keras.layers.Identity(name=layer.name) if kind == "StochasticDepth" else None


def _applied_otherwise(operation: Any, args: tuple[Any, ...]) -> Any:
    """What comes of an operation that is put another way; None where it can stay."""
    kind = type(operation).__name__
    if kind == "CustomScaleLayer":
        ((x, residual),) = args
        return keras.layers.Add()([x, keras.layers.Rescaling(operation.scale)(residual)])
    if kind == "Flip" and operation.axis in (-1, 3) and args[0].shape[-1] == 3:
        return _flipped(args[0])
    if isinstance(operation, keras.layers.Layer) or len(args) != 2:
        return None
    first, second = args
    if not isinstance(second, int | float):
        return _SUMS[kind]()([first, second]) if kind in _SUMS else None
    affine = _affine(kind, float(second))
    return None if affine is None else keras.layers.Rescaling(*affine)(first)


_SUMS = {"Add": keras.layers.Add, "Subtract": keras.layers.Subtract, "Multiply": keras.layers.Multiply}


def _affine(kind: str, number: float) -> tuple[float, float] | None:
    """Scale and offset of the `Rescaling` that does to a tensor what an operation does with a number; None if none."""
    if kind in ("Add", "Subtract"):
        return 1.0, number if kind == "Add" else -number
    if kind in ("Multiply", "TrueDivide"):
        return number if kind == "Multiply" else 1 / number, 0.0
    return None


def _flipped(pixels: Any) -> Any:
    """(n, H, W, 3) with its channels in the other order: a convolution of one pixel, whose products are exact."""
    turn = keras.layers.Conv2D(3, 1, use_bias=False, name="other_order")
    found = turn(pixels)
    turn.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)])
    return found
