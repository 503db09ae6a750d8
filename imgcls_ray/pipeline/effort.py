"""Keeping trials affordable: the last layers of a large backbone are trained only where that is cheap."""

from collections.abc import Iterable, Mapping

from imgcls_ray.config import Size
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.errors import SettingsError
from imgcls_ray.models.cost import multiply_adds
from imgcls_ray.models.features import build_features
from imgcls_ray.models.tail import section
from imgcls_ray.models.weights import NO_WEIGHTS
from imgcls_ray.pipeline.plan import Plan
from imgcls_ray.search.parameters import AnyParameter, Choice
from imgcls_ray.search.space import SearchSpace

Place = tuple[str, str]
"""A backbone and an image size, as the search space writes them."""
GPU_FACTOR = 100
"""How much more than a core a GPU does in the same time, roughly."""


def affordable(plan: Plan, sets: Mapping[Size, Preprocessed], gpus: bool) -> tuple[SearchSpace, str]:
    """The search space without values of `unfrozen_layers` that would make an epoch longer than `max_epoch_gmacs`.

    Values that are more than a backbone has layers are left out as well.

    The rule looks at the most expensive backbone and the most views. It touches choices only: a space that fixes the
    number of layers, or gives a range, means it. Returns the space and what to tell the user, or an empty text.
    """
    parameter = plan.space.parameters.get("unfrozen_layers")
    if parameter is None:
        return plan.space, ""
    kept, note = _kept(parameter, plan, sets, plan.sizes, plan.space.highest("views"), gpus)
    return plan.space.replaced("unfrozen_layers", kept) if note else plan.space, note


def affordable_section(
    plan: Plan, sets: Mapping[Size, Preprocessed], places: Iterable[Place], views: int, gpus: bool
) -> tuple[dict[str, AnyParameter], str]:
    """The same of the section `finetune`, for the backbones in `places` alone and the most views that they have.

    Raises:
        SettingsError: a backbone has fewer layers than one of the values.
    """
    parameters = plan.space.finetune
    kept, note = _kept(parameters["unfrozen_layers"], plan, sets, places, views, gpus)
    return {**parameters, "unfrozen_layers": kept}, note


def _kept(
    parameter: AnyParameter,
    plan: Plan,
    sets: Mapping[Size, Preprocessed],
    places: Iterable[Place],
    views: int,
    gpus: bool,
) -> tuple[AnyParameter, str]:
    """The parameter `unfrozen_layers` with what is affordable of it, and what to tell the user."""
    pretrained = [(place[0], plan.sizes[place]) for place in places if plan.pretrained(place[0])]
    limit = plan.settings.search.max_epoch_gmacs * (GPU_FACTOR if gpus else 1)
    if not isinstance(parameter, Choice) or not pretrained:
        return parameter, ""
    gmacs: dict[object, float] = dict.fromkeys(parameter.values, 0.0)
    lacking: dict[object, SettingsError] = {}
    for name, size in dict.fromkeys(pretrained):
        features = build_features(name, size, sets[size].index.pixels.channels, NO_WEIGHTS)
        samples = sets[size].index.rows("train") * (1 + views)
        for value in parameter.values:
            try:
                cost = multiply_adds(section(features, int(value), 0)) if value else 0
            except SettingsError as error:
                lacking[value] = error
            else:
                gmacs[value] = max(gmacs[value], samples * cost / 1e9)
    if len(lacking) == len(parameter.values):
        raise next(iter(lacking.values()))
    possible = [value for value in parameter.values if value not in lacking]
    kept = [value for value in possible if gmacs[value] <= limit]
    kept = kept or [min(possible, key=lambda value: gmacs[value])]
    if len(kept) == len(parameter.values):
        return parameter, ""
    default = parameter.default if parameter.default in kept else max(kept, key=lambda value: gmacs[value])
    dear = [f"the last {value} layers {gmacs[value]:.0f}" for value in possible if value not in kept]
    reasons = []
    if dear:
        rule = f"an epoch may take {limit:g} x 10^9 multiply-adds (search.max_epoch_gmacs)"
        reasons.append(f"not trained, because {rule}: {', '.join(dear)}")
    if lacking:
        reasons.append(f"not trained, because there are not so many layers: the last {', '.join(map(str, lacking))}")
    return parameter.model_copy(update={"values": kept, "default": default}), "; ".join(reasons)
