"""The pictures that a network takes. Loads no Keras."""

import numpy as np

from imgcls_ray.errors import ModelError


def check_images(images: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse what is not (n, *shape) uint8.

    Raises:
        ModelError: as it says.
    """
    if images.dtype != np.uint8 or images.shape[1:] != shape:
        raise ModelError(
            f"The model takes pictures (n, {', '.join(map(str, shape))}) of type uint8; "
            f"received {images.shape} of type {images.dtype}: resize them with the model's own pixel operations."
        )
