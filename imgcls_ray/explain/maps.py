"""Where in a flat network its maps and its scores are, found by its structure: any layer may have any name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from imgcls_ray.errors import ModelError
from imgcls_ray.models.tail import cuts

FINE = 4
"""Positions along the shorter side from which a map is fine enough to show a place."""


@dataclass(frozen=True)
class Member:
    """One network: the only one of a model, or one of several whose answers are put together."""

    softmax: Any
    """The layer that gives its probabilities."""
    share: float
    """Of its probabilities in the model's; 1 where it is the only one."""
    last: Any
    """Its last map, a Keras tensor (n, h, w, channels): behind it are vectors only."""


def members(model: keras.Model) -> list[Member]:
    """The networks of a model: walk back from its output to the softmax layers, from each to its last map.

    Raises:
        ModelError: it has no softmax, or nothing that has places (h, w) comes before it.
    """
    found = []
    for layer, share in _softmaxes(model.output, 1.0):
        maps = list(_last_maps(layer.input)) if layer else []
        if len(maps) != 1 or not _inputs(maps[0]):
            raise ModelError(
                f"Heat maps are made of flat networks that pool their last map into a vector and end with a softmax; "
                f"'{model.name}' is none: use a model that imgcls trained."
            )
        found.append(Member(layer, share, maps[0]))
    return found


def scores(member: Member) -> Any:
    """The scores before the softmax, a Keras tensor (n, classes).

    Of probabilities the gradient would be rounded to nothing where a network is sure.
    """
    layer = member.softmax
    if not isinstance(layer, keras.layers.Dense):
        return layer.input
    linear = keras.layers.Dense(layer.units, use_bias=layer.use_bias)
    found = linear(layer.input)
    linear.set_weights(layer.get_weights())
    return found


def fine_map(model: keras.Model, member: Member) -> Any:
    """The last map that shows a place: a Keras tensor (n, h, w, channels) that all evidence goes through.

    It is the last one where that has 4 positions along its shorter side, as all backbones have at their native size.
    Of small pictures less than that is left (3 x 3 of 96 pixels): then it is the last finer one at which the network
    can be cut, in its second half, since earlier maps are of edges and not of things.
    """
    part = keras.Model(model.input, member.last)
    half = len(part.layers) // 2
    later = [tensor for position, tensor in _cut_maps(part) if position >= half]
    return max(reversed(later), key=lambda tensor: min(*tensor.shape[1:3], FINE), default=member.last)


def stages(model: keras.Model, member: Member) -> list[Any]:
    """The last map of each size at which the network can be cut, the first (largest) one first."""
    part = keras.Model(model.input, member.last)
    by_size = {tensor.shape[1:3]: tensor for _, tensor in _cut_maps(part) if min(tensor.shape[1:3]) > 1}
    return list(by_size.values())


def layer_name(tensor: Any) -> str:
    """The name of the layer that a Keras tensor comes from."""
    return str(_operation(tensor).name)


def _cut_maps(part: keras.Model) -> Iterator[tuple[int, Any]]:
    """Position and output of the layers after which one map leads on; what only pads or scales pixels is no map."""
    learned, passing = False, set(cuts(part))
    for position, layer in enumerate(part.layers):
        learned = learned or isinstance(layer, keras.layers.Conv2D)
        is_map = learned and not isinstance(layer, keras.layers.ZeroPadding2D) and position in passing
        if is_map and len(layer.output.shape) == 4:
            yield position, layer.output


def _softmaxes(tensor: Any, share: float) -> Iterator[tuple[Any, float]]:
    """The softmax layers that `tensor` is an average of, each with its share; None for a way that leads to none."""
    layer = _operation(tensor)
    if _is_softmax(layer):
        yield layer, share
        return
    if not (before := _inputs(tensor)):
        yield None, share
    if isinstance(layer, keras.layers.Rescaling):
        share *= float(layer.scale)
    for one in before:
        yield from _softmaxes(one, share)


def _last_maps(tensor: Any) -> Iterator[Any]:
    """The first tensors with places on each way back from `tensor`, each once, and inputs where a way has none."""
    seen: set[int] = set()
    left = [tensor]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        before = _inputs(one)
        if len(one.shape) == 4 or not before:
            yield one
        else:
            left += before


def _inputs(tensor: Any) -> list[Any]:
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def _operation(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _is_softmax(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) is keras.activations.softmax
