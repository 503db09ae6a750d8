"""The network as a TensorFlow graph from pictures to probabilities."""

from typing import Any

import keras
import tensorflow as tf

PICTURES, SCORES = "pictures", "scores"
"""The names of what goes in and of what comes out."""


def pixel_function(network: keras.Model, dtype: tf.DType = tf.uint8) -> tuple[Any, tf.TensorSpec]:
    """A `tf.function` from pictures (n, H, W, C) of `dtype` to probabilities (n, K), and the kind of its argument."""

    def run(pictures: Any) -> Any:
        return tf.identity(network(tf.cast(pictures, tf.float32), training=False), SCORES)

    spec = tf.TensorSpec((None, *network.input_shape[1:]), dtype, PICTURES)
    return tf.function(run, jit_compile=False, autograph=False), spec


def frozen(network: keras.Model, dtype: tf.DType = tf.uint8) -> tuple[Any, str]:
    """The same as a GraphDef with the weights as constants, and the name of the node that gives the probabilities."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    function, spec = pixel_function(network, dtype)
    made, graph = convert_variables_to_constants_v2_as_graph(function.get_concrete_function(spec))
    return graph, made.outputs[0].op.name
