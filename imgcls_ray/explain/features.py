"""What the layers of a network make of a picture, from edges to things."""

from dataclasses import dataclass

import keras
import numpy as np

from imgcls_ray.explain.maps import layer_name, members, stages
from imgcls_ray.models.pictures import check_images

CHANNELS = 8


@dataclass(frozen=True)
class Stage:
    """The maps of one layer for some pictures."""

    layer: str
    channels: np.ndarray
    """(n, m) int: which of the layer's channels are shown, for each picture."""
    of: int
    """Channels that the layer has."""
    maps: np.ndarray
    """(n, m, h, w) float32, each from its lowest (0) to its highest value (1)."""


def feature_maps(model: keras.Model, images: np.ndarray, channels: int = CHANNELS) -> list[Stage]:
    """The last map of each size, the finest first: for each picture the channels that differ most from place to place.

    Args:
        model: flat, as `GradCam` takes it; of an ensemble its first network.
        images: (n, H, W, C) uint8, n at least 1.
        channels: how many of a layer's are shown; fewer where it has not so many.

    Raises:
        ModelError: the model is of another form, or the pictures are not its own.
    """
    check_images(images, tuple(model.input_shape[1:]))
    tensors = stages(model, members(model)[0])
    found = keras.tree.flatten(keras.Model(model.input, tensors)(images.astype(np.float32), training=False))
    return [_stage(layer_name(tensor), np.asarray(maps), channels) for tensor, maps in zip(tensors, found, strict=True)]


def _stage(layer: str, maps: np.ndarray, channels: int) -> Stage:
    spread = maps.std(axis=(1, 2))
    chosen = np.argsort(-spread, axis=1, kind="stable")[:, :channels]
    shown = np.take_along_axis(np.moveaxis(maps, -1, 1), chosen[:, :, None, None], axis=1).astype(np.float32)
    shown -= shown.min(axis=(2, 3), keepdims=True)
    highest = shown.max(axis=(2, 3), keepdims=True)
    return Stage(layer, chosen, maps.shape[-1], np.divide(shown, highest, out=np.zeros_like(shown), where=highest > 0))
