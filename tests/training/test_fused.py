"""The fused optimisers come to what Keras' own do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgcls_ray.training import fused


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Adam", {}),
        ("AdamW", {"weight_decay": 0.1}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("SGD", {"momentum": 0.0}),
        ("RMSprop", {"momentum": 0.5}),
        ("RMSprop", {"momentum": 0.0}),
    ],
)
def test_they_do_what_those_of_keras_do(name: str, arguments: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(7, 5)), rng.normal(size=(10, 7, 5))
    ended = []
    for module in (keras.optimizers, fused):
        variable = keras.Variable(start.astype("float32"))
        optimizer = getattr(module, name)(0.1, **arguments)
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.learning_rate.assign(0.05)
            optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
        ended.append([variable.numpy(), *(own.numpy() for own in optimizer.variables)])
    for mine, theirs in zip(*ended, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert np.abs(ended[1][0] - start).max() > 0.1
