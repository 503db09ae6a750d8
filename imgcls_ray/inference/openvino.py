"""OpenVINO: two to three times TensorFlow's speed on a CPU. An optional extra; loaded when it is used."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from imgcls_ray.errors import ModelError, SettingsError
from imgcls_ray.inference.base import Engine, Precision
from imgcls_ray.inference.program import Program
from imgcls_ray.models.pictures import check_images

_PIXELS = 1 << 14
"""Pixels of a batch. One picture of 96 x 96 or more at a time is fastest, because its feature maps stay in the cache:
MobileNetV2 at 224 does a third more than in batches of 32. Of smaller ones several, because of what each call costs."""
_LARGEST_BATCH = 8
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def installed() -> bool:
    """Whether OpenVINO is there; it is not loaded for it."""
    return importlib.util.find_spec("openvino") is not None


def check_installed() -> None:
    """Refuse where OpenVINO is missing.

    Raises:
        SettingsError: it is.
    """
    if not installed():
        raise SettingsError(
            "The engine 'openvino' needs the package openvino, which is not installed here: install imgcls-ray[cpu] "
            "on each node, or choose the engine 'tensorflow'."
        )


class OpenVinoEngine(Engine):
    """A converted network on the CPU: one stream of single-threaded work per thread, fed in small batches of one size.

    Batches have one size whatever is asked, so a picture's row is the same, bit for bit, alone or among others, in one
    thread or in many.

    Args:
        program: the network.
        threads: CPUs to use, at least 1.
        precision: float32, although OpenVINO takes bfloat16 on CPUs that have it; or bfloat16, twice as fast there.

    Raises:
        SettingsError: OpenVINO is not installed, or the CPU has no bfloat16.
        ModelError: OpenVINO can't read the network, or it takes or gives other shapes than the program says.
    """

    name = "openvino"

    def __init__(self, program: Program, threads: int, precision: Precision = "float32") -> None:
        check_installed()
        import openvino

        core = openvino.Core()
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise SettingsError(
                "The precision bfloat16 needs a CPU that computes in it, and this one does not: choose float32."
            )
        self.precision = precision
        self._input_shape, self._output_shape = program.input_shape, program.output_shape
        height, width = program.input_shape[:2]
        self._batch = max(1, min(_LARGEST_BATCH, _PIXELS // (height * width)))
        network = _network(core, program, self._batch)
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            # Each process would pin its threads to the first CPUs: two of them would share one.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core.compile_model(network, "CPU", settings)
        self._jobs = 2 * threads  # the next picture waits while one is worked on
        self._single: SimpleQueue[Any] = SimpleQueue()
        """Requests that are not in work; a request of a queue may not be run apart from it."""
        self._queues: SimpleQueue[Any] = SimpleQueue()

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See Engine."""
        check_images(images, self._input_shape)
        return self._one_batch(images) if len(images) <= self._batch else self._batches(images)

    def _one_batch(self, images: np.ndarray) -> np.ndarray:
        """Waited for directly: a queue's callbacks and waiting cost a small network a twentieth of its time."""
        with _lent(self._single, self._compiled.create_infer_request) as request:
            request.infer({0: self._batch_of(images)}, share_inputs=True, share_outputs=True)
            outputs: np.ndarray = request.get_output_tensor().data[: len(images)].copy()
        return outputs

    def _batches(self, images: np.ndarray) -> np.ndarray:
        import openvino

        outputs = np.empty((len(images), *self._output_shape), np.float32)

        def keep(request: Any, start: int) -> None:
            part = outputs[start : start + self._batch]
            part[:] = request.get_output_tensor().data[: len(part)]

        with _lent(self._queues, lambda: openvino.AsyncInferQueue(self._compiled, self._jobs)) as requests:
            requests.set_callback(keep)
            for start in range(0, len(images), self._batch):
                requests.start_async({0: self._batch_of(images[start : start + self._batch])}, start)
            requests.wait_all()
        return outputs

    def _batch_of(self, images: np.ndarray) -> np.ndarray:
        """At most a batch of pictures, with black ones behind them where they are fewer."""
        if len(images) == self._batch:
            return np.ascontiguousarray(images)
        return np.concatenate([images, np.zeros((self._batch - len(images), *images.shape[1:]), np.uint8)])

    def warm_up(self) -> None:
        """See Engine."""
        for pictures in (1, self._jobs * self._batch):
            self.predict(np.zeros((pictures, *self._input_shape), np.uint8))


@contextmanager
def _lent(idle: "SimpleQueue[Any]", make: Callable[[], Any]) -> Iterator[Any]:
    """One of what is idle, for the caller alone; a new one where all are lent."""
    try:
        lent = idle.get_nowait()
    except Empty:
        lent = make()
    yield lent
    # Not after an error: what is still under way would write into the next caller's rows.
    idle.put(lent)


def _network(core: Any, program: Program, batch: int) -> Any:
    try:
        network = core.read_model(program.network, program.weights)
        network.reshape([batch, *program.input_shape])
        given = [tuple(output.shape) for output in network.outputs]
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(f"OpenVINO can't read the converted network: {reason[:300]}") from error
    if given != [(batch, *program.output_shape)]:
        raise ModelError(
            f"The converted network gives {(batch, *program.output_shape)} for {batch} pictures; received {given}."
        )
    return network
