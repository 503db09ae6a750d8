"""The features that a network classifies by, given out beside its probabilities."""

from typing import Any

import keras

from imgcls_ray.models.bundled import is_head

JOINED = "answer_and_features"
"""The name of the layer that gives out both."""


def with_features(model: keras.Model) -> keras.Model | None:
    """The same network with what its head takes (n, F) behind its probabilities: (n, K + F). Layers are shared.

    What is computed anyway is copied out, so it costs next to nothing. Of an ensemble the features of all members that
    do not share theirs stand one behind the other. None where the network has no head of ours on feature vectors.
    """
    features = _taken_by_heads(model)
    if not features or any(len(tensor.shape) != 2 for tensor in (*features, model.output)):
        return None
    joined = keras.layers.Concatenate(name=JOINED)([model.output, *features])
    return keras.Model(model.input, joined, name=model.name)


def without_features(model: keras.Model) -> keras.Model:
    """The network that `with_features` was given; any other one is itself."""
    last = model.layers[-1]
    return keras.Model(model.input, last.input[0], name=model.name) if last.name == JOINED else model


def _taken_by_heads(model: keras.Model) -> list[Any]:
    """Tensors that lead from the layers before the head into it, each once."""
    found: dict[int, Any] = {}
    for layer in model.layers:
        if not is_head(layer.name):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            if not is_head(tensor._keras_history.operation.name):
                found[id(tensor)] = tensor
    return list(found.values())
