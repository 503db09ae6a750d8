"""The distinct settings of a finite search space."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from imgcls_ray.search.space import SearchSpace

MOST = 100_000
"""Settings up to which a space is listed. It is the most trials that a study may have, too."""


def endless(space: SearchSpace) -> str | None:
    """The first parameter that takes part and has no end of values; None in a finite space."""
    return next((name for name in space.searched() if space.parameters[name].options is None), None)


def settings_of(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """Each setting of a finite space once: the searched parameters that take part in it, in the space's order.

    (Optuna's grid is the plain product: with conditions it would repeat settings.)
    """
    names = list(space.parameters)

    def follow(position: int, chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if position == len(names):
            yield chosen
            return
        parameter = space.parameters[names[position]]
        if not parameter.applies(chosen):
            yield from follow(position + 1, chosen)
            return
        for value in parameter.options or ():
            yield from follow(position + 1, {**chosen, names[position]: value})

    return follow(0, {})


def listed(space: SearchSpace, seed: int) -> list[dict[str, Any]] | None:
    """All settings in a random order, so that a part of them is a fair sample; None if there are more than `MOST`."""
    if endless(space) is not None:
        return None
    settings = list(islice(settings_of(space), MOST + 1))
    if len(settings) > MOST:
        return None
    return [settings[number] for number in np.random.default_rng(seed).permutation(len(settings))]
