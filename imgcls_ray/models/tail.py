"""The last layers of a backbone, cut off where a single tensor leads from the rest to them.

What lies before the cut is frozen, so its output can be computed once per picture and kept; a trial that fine-tunes the
tail then trains on these maps and never runs the layers before. The result is that of fine-tuning the whole network
with its first layers frozen.
"""

import keras

from imgcls_ray.errors import SettingsError

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def section(features: keras.Model, start: int, stop: int) -> keras.Model:
    """The layers of a flat feature extractor between two cuts; its layers are shared, not copied.

    `start` and `stop` count layers with a kernel from the end: the part begins at the last cut that leaves at least
    `start` such layers behind it and ends at the cut for `stop`. 0 is the end (the pooled features).

    Raises:
        SettingsError: the backbone has no cut for so many layers.
    """
    first = features.layers[_cut(features, start)].output
    last = features.output if stop == 0 else features.layers[_cut(features, stop)].output
    return keras.Model(first, last, name=f"{features.name}_{start}_{stop}")


def trunk(features: keras.Model, unfrozen: int) -> keras.Model:
    """Pixels to the map at the cut for `unfrozen` layers; all of `features` for 0."""
    if unfrozen == 0:
        return features
    return keras.Model(features.input, features.layers[_cut(features, unfrozen)].output, name=f"{features.name}_trunk")


def trainable_copy(part: keras.Model) -> keras.Model:
    """A copy of a section with the same weights, to be trained; batch normalisation stays frozen."""
    copy = keras.models.clone_model(part)
    copy.set_weights(part.get_weights())
    for layer in copy.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return copy


def _cut(features: keras.Model, unfrozen: int) -> int:
    """Position of the layer after which the tail begins."""
    weighted = [n for n, layer in enumerate(features.layers) if any(v.name in _KERNELS for v in layer.weights)]
    if unfrozen > len(weighted):
        raise SettingsError(
            f"The backbone '{features.name}' has {len(weighted)} layers with a kernel; received {unfrozen} to unfreeze."
        )
    before = [cut for cut in cuts(features) if cut < weighted[-unfrozen]]
    if not before:
        raise SettingsError(f"The backbone '{features.name}' can't be cut before its last {unfrozen} layers.")
    return before[-1]


def cuts(model: keras.Model) -> list[int]:
    """Positions of the layers of a flat model after which nothing earlier is read any more: one tensor leads on."""
    layers = model.layers
    position = {layer.name: number for number, layer in enumerate(layers)}
    last_use = [0] * len(layers)
    for layer in layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                source = position.get(tensor._keras_history.operation.name)
                if source is not None:
                    last_use[source] = max(last_use[source], position[layer.name])
    return [cut for cut in range(1, len(layers)) if max(last_use[:cut]) <= cut]
