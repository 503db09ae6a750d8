"""Runs a model on any number of pictures, fast and with the same answer whatever the batch."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import Engine, EngineChoice, Precision
from imgcls_ray.inference.choice import check_choice, log_once, without_openvino
from imgcls_ray.inference.openvino import OpenVinoEngine
from imgcls_ray.models.pictures import check_images

__all__ = ["Engine", "TensorFlowEngine", "load_engine"]

_SIZES = (1, 8)


class TensorFlowEngine(Engine):
    """TensorFlow in a `tf.function` of a few fixed batch sizes: 1, 8 and `batch` (default 32).

    Each size is traced once, on first use. XLA stays off: on CPUs it is many times slower than a plain graph. How many
    threads TensorFlow takes is the caller's to set, before it starts.
    """

    name = "tensorflow"
    precision: Precision = "float32"

    def __init__(self, model: keras.Model, batch: int = 32) -> None:
        self.model = model
        self._shape = tuple(model.input_shape[1:])
        self._answer_shape = tuple(model.output_shape[1:])
        self._sizes = (*(size for size in _SIZES if size < batch), batch)

        def run(images: Any) -> Any:
            return model(tf.cast(images, tf.float32), training=False)

        self._run = tf.function(run, jit_compile=False)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See Engine."""
        check_images(images, self._shape)
        outputs = np.empty((len(images), *self._answer_shape), np.float32)
        start = 0
        while start < len(images):
            size = self._next_size(len(images) - start)
            part = images[start : start + size]
            outputs[start : start + len(part)] = self._answer(part, size)
            start += len(part)
        return outputs

    def warm_up(self) -> None:
        """See Engine."""
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


def load_engine(
    model: keras.Model, kind: EngineChoice = "tensorflow", precision: Precision = "float32", threads: int = 1
) -> Engine:
    """An engine for `model`.

    `auto` is TensorFlow where it sees a GPU; else OpenVINO on the CPU where that is installed, can read the network and
    answers on random pictures as TensorFlow does (see `conversion`); else TensorFlow, and why is logged once. bfloat16
    is OpenVINO's alone: with it `auto` never falls back. `threads` are OpenVINO's; TensorFlow's are set before it
    starts.

    Raises:
        SettingsError: bfloat16 from TensorFlow or from a CPU that has none, or OpenVINO is asked for and not installed.
        ModelError: OpenVINO is asked for and can't run this network.
    """
    check_choice(kind, precision)
    if kind == "tensorflow":
        return TensorFlowEngine(model)
    if kind == "auto" and precision == "float32":
        reason = without_openvino(gpus=len(tf.config.get_visible_devices("GPU")))
        if reason:
            log_once(reason)
            return TensorFlowEngine(model)
    from imgcls_ray.inference.conversion import convert

    try:
        return OpenVinoEngine(convert(model), threads, precision)
    except ModelError as error:
        if kind != "auto" or precision != "float32":
            raise
        log_once(str(error))
        return TensorFlowEngine(model)
