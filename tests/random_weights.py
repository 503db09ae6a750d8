"""Weights for a small backbone where no real ones are at hand."""

from pathlib import Path

import keras
import numpy as np

NAME = "mobilenet_0.25"


def random_weights(folder: Path) -> Path:
    """A file like Keras' own for `NAME` in which random kernels keep what is in a picture.

    (Keras' own random kernels, unscaled by the statistics of batch normalisation, fade to nothing after some layers.)
    """
    backbone = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for layer in backbone.layers:
        for variable in layer.weights:
            if "kernel" in variable.name:
                fan_in = np.prod(variable.shape[:2]) * (1 if "_dw_" in layer.name else variable.shape[2])
                variable.assign(rng.normal(0, np.sqrt(6 / fan_in), variable.shape))
    file = folder / f"{NAME}_random.weights.h5"
    backbone.save_weights(file)
    return file
