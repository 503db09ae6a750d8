"""Pixels as a file that keeps every bit of them."""

import cv2
import numpy as np


def png_of(image: np.ndarray) -> bytes:
    """The picture (h, w, 3) RGB or (h, w, 1) gray, uint8, as a PNG.

    Raises:
        OSError: it can't be written.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    done, data = cv2.imencode(".png", pixels)
    if not done:
        raise OSError("the picture can't be written as PNG")
    return bytes(data)
