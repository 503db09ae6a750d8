"""ONNX, for ONNX Runtime and whatever else reads it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from imgcls_ray.bundle.export.base import OTHER_RUNTIME, Exporter, Parts
from imgcls_ray.bundle.export.graph import PICTURES, SCORES, pixel_function
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import Answering

OPSET = 18
"""The newest set of operations that tf2onnx 1.17 writes."""


class _Session:
    """ONNX Runtime on one thread."""

    def __init__(self, place: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See Engine."""
        (scores,) = self._session.run([SCORES], {PICTURES: images})
        return np.asarray(scores)


def _erfc(graph: Any, node: Any, _name: str, _args: list[Any]) -> None:
    """What tf2onnx calls for TensorFlow's Erfc, of which Keras makes GELU and ONNX has none: 1 - erf(x)."""
    shapes, kinds = [graph.get_shape(node.output[0])], [graph.get_dtype(node.output[0])]
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=kinds)
    one = graph.make_const(f"{node.name}_one", np.ones((), np.float32))
    graph.make_node(
        "Sub", [one.output[0], erf.output[0]], outputs=node.output, name=node.name, shapes=shapes, dtypes=kinds
    )


@contextlib.contextmanager
def _few_copies() -> Iterator[None]:
    """Let tf2onnx not copy all weights at each of its steps.

    Its passes, some fifty, write each node's attributes anew into a message, whose memory protobuf only frees with the
    message, and copy the whole graph in case that a pass fails (the variable counts as "no" whatever its value).
    Weights are read from `get_value_attr` in the end.

    With `large_model` it keeps the weights out of the TensorFlow graphs that it makes on its way; but then it means to
    write them as files of their own, with a function that NumPy 2 has no more. Without a place for these they stay in.
    """
    from tf2onnx.graph import Node

    whole = Node.update_proto

    def update(node: Any, *args: Any, **kwargs: Any) -> None:
        if not node.is_const():
            whole(node, *args, **kwargs)

    with (
        mock.patch.object(Node, "update_proto", update),
        mock.patch.dict(os.environ, TF2ONNX_CATCH_ERRORS="FALSE"),
        mock.patch("tf2onnx.convert.ExternalTensorStorage", lambda: None),
    ):
        yield


class Onnx(Exporter):
    """One file, opset 18."""

    name = "onnx"
    title = "ONNX"
    suffix = ".onnx"
    takes = f"`{PICTURES}`: pictures (n, height, width, channels) uint8"
    gives = f"`{SCORES}`: {Exporter.gives}"
    tolerance = OTHER_RUNTIME
    packages = ("tf2onnx", "onnx", "onnxruntime")
    extra = "export"

    def write(self, parts: Parts, place: Path) -> None:
        """See Exporter."""
        import tf2onnx

        function, spec = pixel_function(parts.network)
        try:
            with _few_copies():
                proto, _ = tf2onnx.convert.from_function(
                    function,
                    input_signature=[spec],
                    opset=OPSET,
                    custom_op_handlers={"Erfc": (_erfc, [])},
                    large_model=True,
                )
        # tf2onnx has no error of its own for it, and its passes fail by what they trip over: its kind is told, too.
        except (ValueError, RuntimeError, LookupError, TypeError, AttributeError, AssertionError) as error:
            reason = f"{type(error).__name__}: {str(error)[:300]}"
            raise ModelError(f"ONNX can't hold this network; tf2onnx ended with {reason}") from error
        # The converter names what comes out after its own count.
        (found,) = proto.graph.output
        for node in proto.graph.node:
            node.output[:] = [SCORES if name == found.name else name for name in node.output]
            node.input[:] = [SCORES if name == found.name else name for name in node.input]
        found.name = SCORES
        place.write_bytes(proto.SerializeToString())

    def load(self, place: Path) -> Answering:
        """See Exporter."""
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, NotImplemented

        try:
            return _Session(place)
        except (Fail, InvalidArgument, InvalidGraph, NotImplemented) as error:
            raise ModelError(f"ONNX Runtime can't load what was written: {str(error)[:300]}") from error
