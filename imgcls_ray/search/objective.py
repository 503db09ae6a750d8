"""What a search makes better: a metric that trials report after each epoch; and what it makes smaller beside it."""

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


@dataclass(frozen=True)
class Second:
    """What is made smaller beside the objective: a property of a trial's network, known before it is trained."""

    metric: Literal["latency_ms", "size_mb"]

    @property
    def words(self) -> str:
        """Its name for the user."""
        return {"latency_ms": "latency", "size_mb": "size"}[self.metric]

    @property
    def unit(self) -> str:
        """Of its values."""
        return {"latency_ms": "ms", "size_mb": "MB"}[self.metric]

    def shown(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.3g} {self.unit}"


def directions(objective: Objective, second: Second | None) -> list[Literal["maximize", "minimize"]]:
    """Of one objective or two, in Optuna's words."""
    return [objective.direction] if second is None else [objective.direction, "minimize"]


def second_of(name: str) -> Second | None:
    """By the name in the settings; `none` is none."""
    match name:
        case "latency_ms" | "size_mb":
            return Second(name)
        case _:
            return None
