"""From pixels 0-255 to what each family of backbones was trained on, as stock layers that any Keras can reload."""

from typing import Any

import keras

from imgcls_ray.models.table import Scaling

# ImageNet's means and deviations as keras.applications.imagenet_utils has them: RGB of 0-1 (torch), BGR of 0-255.
TORCH_MEAN = (0.485, 0.456, 0.406)
TORCH_STD = (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def to_rgb(pixels: Any, channels: int) -> Any:
    """Gray (n, H, W, 1) becomes three equal channels; colour stays."""
    if channels == 3:
        return pixels
    return keras.layers.Concatenate(name="gray_to_rgb")([pixels, pixels, pixels])


def scale(pixels: Any, scaling: Scaling) -> Any:
    """Scale RGB pixels (n, H, W, 3) of 0-255 as the family's own `preprocess_input` does.

    `tf`: -1 to 1. `torch`: 0 to 1, then standardised per channel. `caffe`: BGR, means taken off. `none`: as it is,
    because the network begins with its own scaling.
    """
    if scaling == "none":
        return pixels
    if scaling == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    if scaling == "torch":
        mean = [255 * value for value in TORCH_MEAN]
        variance = [(255 * value) ** 2 for value in TORCH_STD]
        return keras.layers.Normalization(mean=mean, variance=variance, name="scale")(pixels)
    # A Keras operation, not a Lambda: it is saved by name and reloads in safe mode.
    bgr = keras.ops.flip(pixels, axis=-1)
    return keras.layers.Normalization(mean=list(_CAFFE_MEAN), variance=[1.0, 1.0, 1.0], name="scale")(bgr)
