"""What each rival does alike: Pillow opens the picture and brings it to size, as in Keras' and FastAPI's guides."""

import io
import os
from typing import Any

import keras
import numpy as np
from PIL import Image


def load() -> Any:
    """The model that MODEL names."""
    return keras.saving.load_model(os.environ["MODEL"], compile=False)


def pixels(data: bytes, model: Any) -> np.ndarray:
    """(1, H, W, 3) uint8 of a picture's file."""
    return array(Image.open(io.BytesIO(data)), model)


def array(picture: Image.Image, model: Any) -> np.ndarray:
    """(1, H, W, 3) uint8 of an opened picture."""
    _, height, width, _ = model.input_shape
    return np.asarray(picture.convert("RGB").resize((width, height)))[np.newaxis]


def answer(probabilities: np.ndarray) -> dict[str, Any]:
    """The classes of one picture with their probabilities, highest first."""
    best = probabilities.argsort()[::-1]
    return {"predictions": [{"label": str(each), "probability": float(probabilities[each])} for each in best]}
