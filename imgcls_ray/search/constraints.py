"""What each setting of a space must keep to, whatever it is worth: the size of its network, the memory it takes."""

from collections.abc import Mapping

from pydantic import Field

from imgcls_ray.config import Settings, TrialSettings
from imgcls_ray.training.job import Input

Inputs = Mapping[tuple[str, str], Input]
"""By backbone and image size, as the search space writes them."""


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
