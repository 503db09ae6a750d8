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
    # The public function makes a function of the graph as well, which takes seven copies of the weights.
    from tensorflow.python.framework import convert_to_constants

    function, spec = pixel_function(network, dtype)
    concrete = function.get_concrete_function(spec)
    data = convert_to_constants._FunctionConverterDataInEager(
        func=concrete, lower_control_flow=False, aggressive_inlining=True
    )
    graph, _ = convert_to_constants._replace_variables_by_constants(data)
    return graph, concrete.outputs[0].op.name
