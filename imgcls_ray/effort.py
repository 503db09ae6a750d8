"""Keeping trials affordable: the last layers of a large backbone are trained only where that is cheap."""

import math
from collections.abc import Mapping

import keras

from imgcls_ray.config import Size
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.errors import SettingsError
from imgcls_ray.models.cost import multiply_adds
from imgcls_ray.models.features import build_features
from imgcls_ray.models.tail import section
from imgcls_ray.models.weights import NO_WEIGHTS
from imgcls_ray.plan import Plan
from imgcls_ray.search.parameters import Choice
from imgcls_ray.search.space import SearchSpace

GPU_FACTOR = 100
"""How much more than a core a GPU does in the same time, roughly."""


def affordable(plan: Plan, sets: Mapping[Size, Preprocessed], gpus: bool) -> tuple[SearchSpace, str]:
    """The search space without values of `unfrozen_layers` that would make an epoch longer than `max_epoch_gmacs`.

    Values that are more than a backbone has layers are left out as well.

    The rule looks at the most expensive backbone and the most views. It touches choices only: a space that fixes the
    number of layers, or gives a range, means it. Returns the space and what to tell the user, or an empty text.
    """
    parameter = plan.space.parameters.get("unfrozen_layers")
    pretrained = [(name, size) for (name, _), size in plan.sizes.items() if plan.pretrained(name)]
    limit = plan.settings.search.max_epoch_gmacs * (GPU_FACTOR if gpus else 1)
    if not isinstance(parameter, Choice) or not pretrained:
        return plan.space, ""
    gmacs: dict[object, float] = dict.fromkeys(parameter.values, 0.0)
    for name, size in dict.fromkeys(pretrained):
        features = build_features(name, size, sets[size].index.pixels.channels, NO_WEIGHTS)
        samples = sets[size].index.rows("train") * (1 + plan.space.highest("views"))
        for value in parameter.values:
            cost = _multiply_adds(features, int(value)) if value else 0
            gmacs[value] = max(gmacs[value], samples * cost / 1e9)
    kept = [value for value in parameter.values if gmacs[value] <= limit]
    kept = kept or [min(parameter.values, key=lambda value: gmacs[value])]
    if len(kept) == len(parameter.values):
        return plan.space, ""
    default = parameter.default if parameter.default in kept else max(kept, key=lambda value: gmacs[value])
    choice = parameter.model_copy(update={"values": kept, "default": default})
    dear = ", ".join(
        f"the last {value} layers {gmacs[value]:.0f}"
        for value in parameter.values
        if value not in kept and math.isfinite(gmacs[value])
    )
    lacking = ", ".join(str(value) for value in parameter.values if value not in kept and math.isinf(gmacs[value]))
    reasons = [
        f"not trained, because an epoch may take {limit:g} x 10^9 multiply-adds (search.max_epoch_gmacs): {dear}"
        if dear
        else "",
        f"not trained, because there are not so many layers: the last {lacking}" if lacking else "",
    ]
    return plan.space.replaced("unfrozen_layers", choice), "; ".join(filter(None, reasons))


def _multiply_adds(features: keras.Model, unfrozen: int) -> float:
    """Of the last layers; without end where a backbone, such as a bundle of a small network, has not so many."""
    try:
        return multiply_adds(section(features, unfrozen, 0))
    except SettingsError:
        return math.inf
