"""How sure it is that a search found something better than the defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from imgcls_ray.evaluation.bootstrap import Figure, Interval, drawn, interval


@dataclass(frozen=True)
class Standing:
    """A trial on the validation pictures."""

    trial: int
    value: Interval
    """Of the objective."""
    gap: Interval | None
    """What it is above the defaults, on the same samples of pictures; None for the defaults, or without them."""


@dataclass(frozen=True)
class Certainty:
    """The leading trials and the defaults (trial 0), with the noise of the validation pictures."""

    figure: Figure
    pictures: int
    trials: tuple[Standing, ...]
    """The leaders, the best first; the defaults are among them where they lead."""
    defaults: Standing | None

    @property
    def better(self) -> bool | None:
        """Whether the leader is better than the defaults by more than the noise; None without defaults."""
        if self.defaults is None:
            return None
        gap = self.trials[0].gap
        return gap is not None and (gap.high < 0 if self.figure == "loss" else gap.low > 0)

    @property
    def sentence(self) -> str:
        """What to think of the result."""
        leader = self.trials[0]
        on = f"{self.pictures:,} validation pictures"
        if self.trials == (self.defaults,):
            return f"There is one trial, and nothing to compare it with (measured on {on})."
        if self.defaults is None:
            return f"The defaults have no score, so there is no gap to them (measured on {on})."
        if leader.gap is None:
            return f"The search found nothing better than the defaults on {on}."
        gap = f"{leader.gap.value:+.4f} (95 % from {leader.gap.low:+.4f} to {leader.gap.high:+.4f}) on {on}"
        if self.better:
            return f"Trial {leader.trial} is better than the defaults by more than the noise: {gap}."
        return f"The search found nothing better than the defaults beyond the noise: trial {leader.trial} has {gap}."

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, texts and dicts, with the two conclusions."""
        return {**asdict(self), "better": self.better, "sentence": self.sentence}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Certainty":
        """Read what `to_json` made."""
        return _adapter().validate_python({name: document[name] for name in cls.__dataclass_fields__})


def certainty(
    figure: Figure, leaders: Sequence[int], answers: Mapping[int, np.ndarray], labels: np.ndarray
) -> Certainty:
    """Compare trials by the paired bootstrap; see `bootstrap.drawn`.

    The best of many trials is partly the luckiest on these very pictures. The interval does not mend that: it says how
    far other pictures would move the figure, not that this trial was chosen by it.

    Args:
        figure: the objective's.
        leaders: numbers of the trials to compare, the best first.
        answers: probabilities (n, K) by trial, of the leaders and, where it has a score, of trial 0.
        labels: the right class of each picture (n,) int.
    """
    numbers = list(answers)
    values = dict(zip(numbers, drawn([answers[number] for number in numbers], labels, figure).T, strict=True))

    def standing(number: int) -> Standing:
        gap = interval(values[number] - values[0]) if number and 0 in values else None
        return Standing(number, interval(values[number]), gap)

    defaults = standing(0) if 0 in values else None
    return Certainty(figure, len(labels), tuple(standing(number) for number in leaders), defaults)


@cache
def _adapter() -> TypeAdapter[Certainty]:
    return TypeAdapter(Certainty)
