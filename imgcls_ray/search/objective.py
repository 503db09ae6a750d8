"""What a search makes better: one of the metrics that a trial reports after each epoch."""

import math
from dataclasses import dataclass
from typing import Literal

WORST_LOSS = 10.0
"""What a failed trial's loss is told to the sampler as, unless a trial reported a higher one: that of a network which
gives the right class a probability of 0.00005. An infinite one would be no number for CMA-ES and GP."""


WORDS = {
    "val_accuracy": "accuracy",
    "val_loss": "loss",
    "val_f1_macro": "macro F1",
    "val_balanced_accuracy": "balanced accuracy",
}


@dataclass(frozen=True)
class Objective:
    """A metric by its name. `val_loss` is made smaller, all others (0 to 1) larger."""

    metric: str = "val_accuracy"

    @property
    def words(self) -> str:
        """Its name for the user."""
        return "validation " + WORDS[self.metric]

    @property
    def best(self) -> str:
        """What the best trial has, in words."""
        return f"{'lowest' if self.mode == 'min' else 'highest'} {self.words}"

    @property
    def mode(self) -> Literal["max", "min"]:
        """The direction in Tune's words."""
        return "min" if self.metric == "val_loss" else "max"

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The direction in Optuna's words."""
        return "minimize" if self.metric == "val_loss" else "maximize"

    def gain(self, value: float) -> float:
        """The value such that more is better."""
        return -value if self.mode == "min" else value

    def worst(self, worst_so_far: float | None = None) -> float:
        """What a failed trial is scored with, given the worst value that any trial reported; finite."""
        if self.mode == "max":
            return 0.0
        return WORST_LOSS if worst_so_far is None else max(WORST_LOSS, worst_so_far)

    def noise(self, value: float, pictures: int) -> float:
        """One standard error of a value measured on so many pictures.

        That of a share of right answers is the binomial one. The macro averages (F1, balanced accuracy) are given the
        same as an estimate, which is too low where classes differ in size. Of a loss the mean alone tells none: 0.
        """
        if self.mode == "min":
            return 0.0
        share = min(max(value, 0.0), 1.0)
        return math.sqrt(share * (1 - share) / pictures)


ACCURACY = Objective()
