"""The filters of a network's first layer, as they are seen from its pictures."""

import keras
import numpy as np

from imgcls_ray.errors import ModelError


def first_filters(model: keras.Model) -> np.ndarray:
    """The first convolution's filters (k, h, w, C) float32, -1 to 1, for pictures with C channels (RGB or gray).

    0 does nothing; the strongest weight of each filter is 1 or -1. Whatever lies between the pictures and the layer
    (scaling, another order of the colours, gray made into three channels) is measured and taken into account, so that
    a red filter is red.

    Raises:
        ModelError: the network has no convolution.
    """
    layer = next((one for one in model.layers if isinstance(one, keras.layers.Conv2D)), None)
    if layer is None:
        raise ModelError(f"First-layer filters are those of a convolution; '{model.name}' has none.")
    kernel = np.asarray(layer.kernel)
    seen = np.einsum("hwik,ci->khwc", kernel, _colours(model, layer))
    strongest = np.abs(seen).max(axis=(1, 2, 3), keepdims=True)
    return np.divide(seen, strongest, out=np.zeros_like(seen), where=strongest > 0).astype(np.float32)


def as_picture(filters: np.ndarray) -> np.ndarray:
    """Filters (k, h, w, C) from -1 to 1 as pictures (k, h, w, C) uint8: 0 is the middle gray."""
    return np.round(127.5 + 127.5 * np.clip(filters, -1, 1)).astype(np.uint8)


def _colours(model: keras.Model, layer: keras.layers.Layer) -> np.ndarray:
    """How much one step of each picture channel changes each channel that the layer sees (C, channels of the layer)."""
    height, width, channels = model.input_shape[1:]
    before = keras.Model(model.input, layer.input)
    probes = np.zeros((1 + channels, height, width, channels), np.float32)
    for channel in range(channels):
        probes[1 + channel, ..., channel] = 255.0
    maps = np.asarray(before(probes, training=False))
    middle = maps[:, maps.shape[1] // 2, maps.shape[2] // 2]
    return (middle[1:] - middle[0]) / 255.0
