"""What each setting of a space must keep to, whatever it is worth: the size of its network, the memory it takes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import optuna
from pydantic import Field

from imgcls_ray.config import Settings, TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.training.job import Input

if TYPE_CHECKING:
    from imgcls_ray.search.space import SearchSpace

Inputs = Mapping[tuple[str, str], Input]
"""By backbone and image size, as the search space writes them."""


DRAWS = 100
"""Settings that are tried before a space is said to have none that keeps to its constraints."""


class Constraints(Settings):
    """Upper bounds; None is no bound."""

    parameters: float | None = Field(None, gt=0)
    """Weights of the whole network, trained or not."""
    memory_mb: float | None = Field(None, gt=0)
    """About what training takes on one worker, in 10^6 bytes: see `Footprint.memory_mb`."""

    @property
    def bind(self) -> bool:
        """Whether there is any."""
        return self.parameters is not None or self.memory_mb is not None

    def broken(self, settings: TrialSettings, inputs: Inputs, workers: int) -> str | None:
        """The first one that settings break, in words; None where they keep to all."""
        if not self.bind:
            return None
        from imgcls_ray.training.footprint import footprint

        found = footprint(settings, inputs[settings.backbone, settings.image_size])
        memory = found.memory_mb(settings, workers)
        if self.parameters is not None and found.parameters > self.parameters:
            return f"{found.parameters:,} parameters, allowed are {self.parameters:,.0f}"
        if self.memory_mb is not None and memory > self.memory_mb:
            return f"about {memory:,.1f} MB of memory, allowed are {self.memory_mb:,.1f}"
        return None


def admission(space: "SearchSpace", inputs: Inputs, workers: int) -> Callable[[TrialSettings], bool]:
    """Whether settings keep to the space's constraints."""
    return lambda settings: space.constraints.broken(settings, inputs, workers) is None


def check_defaults(space: "SearchSpace", inputs: Inputs, workers: int) -> None:
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
