"""The network that is exported: the bundle's, of plain layers, with its calibration inside."""

import keras

from imgcls_ray.bundle.export.plain import plain
from imgcls_ray.inference.calibration import TINY, Calibration


def export_network(model: keras.Model, calibration: Calibration) -> keras.Model:
    """A copy of a flat `model` from pixels (n, H, W, C) 0-255 to calibrated probabilities (n, K).

    The temperature goes into the weights of the last layer where that is a softmax. An average of networks has no
    logits: there the logarithm of its probabilities is divided by it.
    """
    network, temperature = plain(model), calibration.temperature
    if temperature == 1:
        return network
    last = network.layers[-1]
    if isinstance(last, keras.layers.Dense) and last.activation is keras.activations.softmax:
        last.set_weights([weights / temperature for weights in last.get_weights()])
        return network
    x = keras.ops.log(keras.layers.Rescaling(1.0, TINY)(network.output))
    x = keras.layers.Rescaling(1 / temperature)(x)
    return keras.Model(network.input, keras.layers.Softmax(name="calibrated")(x), name=network.name)
