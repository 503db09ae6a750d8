"""LiteRT (TensorFlow Lite), for phones and small boards: float32, float16 and 8-bit integers."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from imgcls_ray.bundle.export.base import OTHER_RUNTIME, Exporter, Parts
from imgcls_ray.bundle.export.graph import PICTURES, frozen
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import Answering


class _Interpreter:
    """An Interpreter, one picture at a time."""

    def __init__(self, place: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it will move to a package of its own
            self._interpreter = tf.lite.Interpreter(str(place), num_threads=1)
        self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See Engine."""
        rows = []
        for image in images:
            self._interpreter.set_tensor(self._input["index"], image[None])
            self._interpreter.invoke()
            rows.append(self._interpreter.get_tensor(self._output["index"])[0])
        return np.stack(rows)


class TfLite(Exporter):
    """float32."""

    tolerance = OTHER_RUNTIME

    name = "tflite"
    title = "LiteRT, float32"
    suffix = ".tflite"
    takes = "pictures (n, height, width, channels) uint8; n is 1 unless the interpreter is told otherwise"

    def write(self, parts: Parts, place: Path) -> None:
        """See Exporter."""
        # Frozen here: the converter's own freezing of TensorFlow 2.21 loses the weights of Keras 3 (all answers are
        # not-a-number), and takes seven times as long. By names, not by tensors or functions: those are written as a
        # SavedModel and read again, with twice as many copies of the weights in memory.
        graph, scores = frozen(parts.network, self._dtype)
        shape = (-1, *parts.network.input_shape[1:])
        converter = tf.compat.v1.lite.TFLiteConverter(
            graph, None, None, input_arrays_with_shape=[(PICTURES, shape)], output_arrays=[scores]
        )
        converter.exclude_conversion_metadata = True  # which is added by copying all once more
        del graph
        self._set(converter, parts)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it expects statistics from training
                place.write_bytes(converter.convert())
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"LiteRT can't hold this network: {reason[:300]}") from error
        except Exception as error:
            # ConverterError is private and has no base of its own.
            if type(error).__name__ != "ConverterError":
                raise
            raise ModelError(f"LiteRT can't hold this network: {str(error).strip().splitlines()[0][:300]}") from error

    _dtype = tf.uint8

    def _set(self, converter: Any, parts: Parts) -> None:
        """Tell the converter of the kind of numbers, if it is not float32."""

    def load(self, place: Path) -> Answering:
        """See Exporter."""
        return _Interpreter(place)


class TfLiteFloat16(TfLite):
    """Weights in float16: half the size; computed in float32 on CPUs."""

    name = "tflite_float16"
    title = "LiteRT, weights in float16"
    tolerance = 0.1
    agreement = 0.99

    def _set(self, converter: Any, parts: Parts) -> None:  # noqa: ARG002
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]


class TfLiteInt8(TfLite):
    """Weights and activations in 8-bit integers: a quarter of the size, the fastest on CPUs."""

    name = "tflite_int8"
    title = "LiteRT, 8-bit integers"
    tolerance = 0.3
    agreement = 0.99
    fitted_to_pictures = True
    _dtype = tf.float32

    def _set(self, converter: Any, parts: Parts) -> None:
        def samples() -> Iterator[list[np.ndarray]]:
            for picture in parts.fitting:
                sample = picture.astype(np.float32)
                # All of 0 to 255 is seen, so a pixel is its own integer: pictures go in as they are.
                sample[0, 0], sample[-1, -1] = 0.0, 255.0
                yield [sample[None]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
