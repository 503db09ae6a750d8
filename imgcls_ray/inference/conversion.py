"""From Keras to OpenVINO, in about a second, and the proof that both answer alike."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import FEATURE_TOLERANCE, PROBABILITY_TOLERANCE
from imgcls_ray.inference.openvino import OpenVinoEngine, check_installed
from imgcls_ray.inference.program import Program


class DisagreementError(ModelError):
    """Two engines run the same network and answer otherwise."""


_PROBES = 2
"""Random pictures on which both engines must agree."""


def convert(model: keras.Model) -> Program:
    """The network of `model` for OpenVINO, checked against TensorFlow on random pictures.

    TensorFlow's graph is handed to OpenVINO's reader of such graphs itself. The tool above it (`convert_model`, and so
    Keras' `export`) does the same, writes into the user's home and sends statistics over the network unless the user
    has forbidden it.

    Raises:
        SettingsError: OpenVINO is not installed.
        ModelError: OpenVINO can't read the network, or (DisagreementError) answers otherwise than TensorFlow.
    """
    check_installed()
    shape = tuple(model.input_shape[1:])

    def run(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    signature = tf.TensorSpec((None, *shape), tf.uint8)
    graph = tf.function(run, jit_compile=False, autograph=False).get_concrete_function(signature)
    program = Program(*_converted(graph, model.name), shape, tuple(model.output_shape[1:]))
    images = np.random.default_rng(0).integers(0, 256, (_PROBES, *shape), dtype=np.uint8)
    check_agreement(graph(tf.constant(images)).numpy(), OpenVinoEngine(program, threads=1).predict(images), model.name)
    return program


def check_agreement(expected: np.ndarray, found: np.ndarray, name: str) -> None:
    """Refuse answers (n, ...) of OpenVINO that are not those of TensorFlow.

    Rows that sum to 1 are probabilities, which may differ by `PROBABILITY_TOLERANCE`; all else are features, which may
    differ by `FEATURE_TOLERANCE` of the largest.

    Raises:
        DisagreementError: they differ by more.
    """
    probabilities = expected.ndim == 2 and bool(np.allclose(expected.sum(axis=1), 1, atol=1e-3)) and expected.min() >= 0
    scale = 1.0 if probabilities else float(np.abs(expected).max(initial=0.0))
    allowed = PROBABILITY_TOLERANCE if probabilities else FEATURE_TOLERANCE
    gap = float(np.abs(found - expected).max(initial=0.0))
    # Turned round, because a comparison with not-a-number is false.
    if not gap <= allowed * scale:
        raise DisagreementError(
            f"OpenVINO must answer as TensorFlow does; for '{name}' it differs by {gap:.1e}, allowed is "
            f"{allowed * scale:.1e}: choose the engine 'tensorflow'."
        )


def _converted(graph: Any, name: str) -> tuple[bytes, bytes]:
    import openvino
    from openvino import frontend
    from openvino.frontend.tensorflow.graph_iterator import GraphIteratorTFGraph

    # None of them shares a base with the others.
    failures = (
        RuntimeError,
        frontend.NotImplementedFailure,
        frontend.InitializationFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
        frontend.GeneralFailure,
    )
    try:
        reader = frontend.FrontEndManager().load_by_framework("tf")
        nodes = GraphIteratorTFGraph(graph.graph, True)  # OpenVINO does not keep it alive
        network = reader.convert(reader.load(nodes))
        # Nodes that nothing uses, such as the shape that Keras' Rescaling asks for, are read as outputs too.
        answer = network.output(graph.outputs[0].name).node
        network = openvino.Model([answer], network.get_parameters(), name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.xml")
            openvino.save_model(network, path, compress_to_fp16=False)
            return path.read_bytes(), path.with_suffix(".bin").read_bytes()
    except failures as error:
        logging.getLogger(__name__).debug("OpenVINO: %s", error)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(
            f"OpenVINO can't read the network '{name}' ({reason[:300]}): choose the engine 'tensorflow'."
        ) from error
