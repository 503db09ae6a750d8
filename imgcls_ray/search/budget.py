"""How a study's trials and its time are divided between probing and fine-tuning."""

import math
from dataclasses import dataclass

from imgcls_ray.config import SearchSettings


@dataclass(frozen=True)
class Budget:
    """What a study may take, all in all, and its first stage.

    The second stage has `share` of the trials, rounded up, and of the time; what the first one leaves of either, be it
    that its space has fewer settings or that it is faster, goes on to the second. One share for both is enough: probe
    trials are so much cheaper that of a time budget nearly all is left, unless there are very many of them.
    """

    trials: int
    seconds: float
    """Infinite where there is no time budget."""
    share: float
    """Of the second stage; 0 where there is none."""

    @classmethod
    def of(cls, settings: SearchSettings, stages: int) -> "Budget":
        """The budget of a study with one stage or two."""
        return cls(settings.trials, settings.time_budget or math.inf, settings.finetune_share if stages > 1 else 0.0)

    @property
    def probes(self) -> int:
        """Trials of the first stage, at most: the defaults at least."""
        # Rounded before it is rounded up: 0.07 x 100 is 7.000000000000001.
        return max(1, self.trials - math.ceil(round(self.trials * self.share, 9)))

    @property
    def probe_seconds(self) -> float:
        """Seconds of the first stage, at most."""
        return self.seconds * (1 - self.share) if self.share else self.seconds

    def describe(self) -> str:
        """The division in a line, for a study of two stages."""
        tuned = self.trials - self.probes
        trials = f"of {self.trials} trials {self.probes} probe and {tuned} fine-tune the best of them"
        time = "" if math.isinf(self.seconds) else f", probing for at most {self.probe_seconds:g} of {self.seconds:g} s"
        return f"two stages: {trials}{time}; what probing leaves goes to fine-tuning"
