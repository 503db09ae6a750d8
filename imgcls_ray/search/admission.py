"""Which settings of a space are trained at all: those that keep to its constraints, the defaults first of all."""

from collections.abc import Callable

import optuna

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.constraints import Inputs
from imgcls_ray.search.space import SearchSpace

DRAWS = 100
"""Settings that are tried before a space is said to have none that keeps to its constraints."""


def admission(space: SearchSpace, inputs: Inputs, workers: int) -> Callable[[TrialSettings], bool]:
    """Whether settings keep to the space's constraints."""
    return lambda settings: space.constraints.broken(settings, inputs, workers) is None


def check_defaults(space: SearchSpace, inputs: Inputs, workers: int) -> None:
    """The defaults are trial 0, which the result is compared with: they must keep to the constraints.

    Raises:
        SettingsError: they do not.
    """
    broken = space.constraints.broken(TrialSettings(**space.defaults()), inputs, workers)
    if broken is None:
        return
    admits = admission(space, inputs, workers)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = (space.suggest(study.ask()) for _ in range(DRAWS))
    mend = (
        "choose smaller defaults, or raise the limit"
        if any(map(admits, drawn))
        else f"none of {DRAWS} settings drawn from the space keeps to them either: raise the limit, or search smaller "
        "networks"
    )
    raise SettingsError(
        f"The defaults of a search space must keep to its constraints; with these they take {broken}: {mend}."
    )
