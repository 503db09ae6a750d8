"""Runs a model on any number of pictures, fast and with the same answer whatever the batch."""

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.errors import ModelError

_SIZES = (1, 8)


class Engine(ABC):
    """What an engine has to offer. Safe to call from several threads; never changes the model."""

    @abstractmethod
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Outputs (n, K) float32, or (n, ...) as the model has them, for pictures (n, H, W, C) uint8; n may be 0.

        The same picture gives the same row within 1e-6, alone or among others.

        Raises:
            ModelError: the pictures are not of the shape or type that the model takes.
        """

    @abstractmethod
    def warm_up(self) -> None:
        """Do now what the first `predict` would otherwise pay for, for each batch size."""


class TensorFlowEngine(Engine):
    """TensorFlow in a `tf.function` of a few fixed batch sizes: 1, 8 and `batch` (default 32).

    Each size is traced once, on first use. XLA stays off: on CPUs it is many times slower than a plain graph. How many
    threads TensorFlow takes is the caller's to set, before it starts.
    """

    def __init__(self, model: keras.Model, batch: int = 32) -> None:
        self._shape = tuple(model.input_shape[1:])
        self._answer_shape = tuple(model.output_shape[1:])
        self._sizes = (*(size for size in _SIZES if size < batch), batch)

        def run(images: Any) -> Any:
            return model(tf.cast(images, tf.float32), training=False)

        self._run = tf.function(run, jit_compile=False)

    def predict(self, images: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8 or images.shape[1:] != self._shape:
            raise ModelError(
                f"The model takes pictures (n, {', '.join(map(str, self._shape))}) of type uint8; "
                f"received {images.shape} of type {images.dtype}: resize them with the model's own pixel operations."
            )
        outputs = np.empty((len(images), *self._answer_shape), np.float32)
        start = 0
        while start < len(images):
            size = self._next_size(len(images) - start)
            part = images[start : start + size]
            outputs[start : start + len(part)] = self._answer(part, size)
            start += len(part)
        return outputs

    def warm_up(self) -> None:
        for size in self._sizes:
            self._answer(np.zeros((size, *self._shape), np.uint8), size)

    def _next_size(self, left: int) -> int:
        """The next batch for `left` pictures: padded only where less than half of it would be padding."""
        below = [size for size in self._sizes if size <= left]
        above = [size for size in self._sizes if size >= left]
        return above[0] if above and 2 * left > above[0] else below[-1]

    def _answer(self, images: np.ndarray, size: int) -> np.ndarray:
        """The rows of one batch (at most `size` pictures) from the graph of `size`."""
        count = len(images)
        if count < size:
            images = np.concatenate([images, np.zeros((size - count, *self._shape), np.uint8)])
        rows: np.ndarray = self._run(tf.constant(images)).numpy()
        return rows[:count]


def load_engine(model: keras.Model) -> Engine:
    """The default engine for `model`."""
    return TensorFlowEngine(model)
