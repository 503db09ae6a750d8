"""Several networks as one: what they have in common runs once, and their probabilities are averaged."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from imgcls_ray.errors import ModelError
from imgcls_ray.models.bundled import HEAD, OUTPUT

TOLERANCE = 1e-6
"""How far the joined network's probabilities may be from the average of its members'."""
_PROBES = 2
"""Random pictures on which that is checked."""


class Joining:
    """Takes networks one after another, pixels in and probabilities out, and copies what is new of each.

    Two layers are the same where kind, settings and weights are equal and what goes into them is: so heads on one
    frozen backbone share all of it, trials that trained its last layers share what lies before these, and whole
    networks share nothing. The networks that are given are not changed, and may be changed or dropped afterwards.
    """

    def __init__(self) -> None:
        self._pixels: Any = None
        self._made: dict[tuple[Any, ...], Any] = {}
        self._names: set[str] = set()
        self._members: list[tuple[Any, float]] = []
        self._expected: list[np.ndarray] = []

    def add(self, model: keras.Model, weight: float) -> None:
        """One more member, and its share of the average.

        Raises:
            ModelError: it takes other pictures, or knows another number of classes, than the members before it.
        """
        if self._pixels is None:
            self._pixels = keras.Input(model.input_shape[1:], name="pixels")
        first = self._members[0][0].shape[1:] if self._members else model.output_shape[1:]
        if tuple(model.input_shape[1:]) != tuple(self._pixels.shape[1:]) or tuple(model.output_shape[1:]) != first:
            raise ModelError(
                f"The members of an ensemble take the same pictures and know the same classes; received one from "
                f"{model.input_shape[1:]} to {model.output_shape[1:]} beside one from {self._pixels.shape[1:]} to "
                f"{first}: join trials of one image size."
            )
        copy = keras.models.clone_model(
            model, input_tensors=self._pixels, clone_function=lambda layer: layer, call_function=self._call
        )
        self._members.append((copy.output, weight))
        self._expected.append(weight * np.asarray(model(self._probe(), training=False)))

    def model(self, name: str) -> keras.Model:
        """The members as one flat network of stock layers; its answer is the weighted average of theirs.

        Raises:
            ModelError: it answers otherwise.
        """
        if len(self._members) == 1:
            return keras.Model(self._pixels, self._members[0][0], name=name)
        shares = [
            keras.layers.Rescaling(weight, name=f"{HEAD}share{number}")(output)
            for number, (output, weight) in enumerate(self._members, 1)
        ]
        joined = keras.Model(self._pixels, keras.layers.Add(name=OUTPUT)(shares), name=name)
        gap = float(np.abs(np.asarray(joined(self._probe(), training=False)) - sum(self._expected)).max())
        if not gap <= TOLERANCE:  # turned round, because a comparison with not-a-number is false
            raise ModelError(
                f"A joined network answers as the average of its members; it differs by {gap:.1e}, allowed is "
                f"{TOLERANCE:.0e}: leave the ensemble out with --ensemble none."
            )
        return joined

    def _probe(self) -> np.ndarray:
        shape = (_PROBES, *self._pixels.shape[1:])
        return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """What a copy of `layer` makes of these tensors; where it was made before, that."""
        key = (_digest(layer), *(id(tensor) for tensor in keras.tree.flatten(args)), repr(sorted(kwargs.items())))
        if key not in self._made:
            # An operation that is no layer has neither a state nor a name of its own in a file.
            copy = self._copy(layer) if isinstance(layer, keras.layers.Layer) else layer
            self._made[key] = copy(*args, **kwargs)
            if isinstance(layer, keras.layers.Layer) and layer.weights:
                _take_weights(copy, layer)
        return self._made[key]

    def _copy(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        config = {**layer.get_config(), "name": self._free(layer.name)}
        found: keras.layers.Layer = type(layer).from_config(config)
        return found

    def _free(self, name: str) -> str:
        """`name`, or with a number where it is taken; the end of a network is a part of a head from now on."""
        name = f"{HEAD}{OUTPUT}" if name == OUTPUT else name
        number, found = 1, name
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found


def _digest(layer: Any) -> str:
    """Equal for two layers that do the same."""
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    found = hashlib.sha256(json.dumps([type(layer).__name__, config], sort_keys=True, default=repr).encode())
    for weight in getattr(layer, "weights", ()):
        found.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return found.hexdigest()


def _take_weights(copy: keras.layers.Layer, layer: keras.layers.Layer) -> None:
    copy.set_weights(layer.get_weights())
    if isinstance(copy, keras.layers.Normalization):
        copy.finalize_state()  # what it computes with is derived from its weights, once


def join(members: Sequence[tuple[keras.Model, float]], name: str) -> keras.Model:
    """One network for several: see `Joining`.

    Args:
        members: networks from pixels (n, H, W, C) to probabilities (n, K), each with its share; shares sum to 1.
        name: of the network.

    Raises:
        ModelError: they do not fit each other.
    """
    joining = Joining()
    for model, weight in members:
        joining.add(model, weight)
    return joining.model(name)
