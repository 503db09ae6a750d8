"""Two curves of one trial, value by value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """A trial's values after each epoch (1 is the first), in its study and trained again.

    A value may be a share of few pictures, so where both have as many epochs, the metrics of the kept one count too.
    """

    there: Mapping[int, float]
    here: Mapping[int, float]
    metrics_there: Mapping[str, float] = field(default_factory=dict)
    metrics_here: Mapping[str, float] = field(default_factory=dict)

    @property
    def compared(self) -> int:
        """Epochs that both have."""
        return len(self.there.keys() & self.here.keys())

    @property
    def first_difference(self) -> int | None:
        """The first epoch whose values differ, be it in the last bit; None where none does."""
        both = sorted(self.there.keys() & self.here.keys())
        return next((epoch for epoch in both if self.there[epoch] != self.here[epoch]), None)

    @property
    def other_metrics(self) -> list[str]:
        """Metrics of the kept epoch that differ though no value does; the time that it took is none."""
        if self.first_difference is not None or len(self.there) != len(self.here):
            return []
        both = self.metrics_there.keys() & self.metrics_here.keys() - {"seconds"}
        return sorted(name for name in both if self.metrics_there[name] != self.metrics_here[name])

    @property
    def same(self) -> bool:
        """Whether nothing that can be compared differs."""
        return self.compared > 0 and self.first_difference is None and not self.other_metrics

    @property
    def sentence(self) -> str:
        """What came of it."""
        epoch = self.first_difference
        if not self.compared:
            return "no epoch of the study to compare with"
        if epoch is not None:
            return (
                f"another curve than in the study from epoch {epoch} on: "
                f"{self.there[epoch]:.6g} there, {self.here[epoch]:.6g} here"
            )
        if self.other_metrics:
            return f"the same values as in the study, but not the same {', '.join(self.other_metrics)}"
        if len(self.there) == len(self.here):
            return "the same curve as in the study"
        epochs = f"{self.compared} epoch{'' if self.compared == 1 else 's'}"
        return f"the same values as in the study, in the {epochs} that both have"

    def to_json(self) -> dict[str, Any]:
        """As `imgcls fit --json` prints it; the values are in the order of the epochs."""
        return {
            "same": self.same,
            "compared": self.compared,
            "first_difference": self.first_difference,
            "study": [self.there[epoch] for epoch in sorted(self.there)],
            "fit": [self.here[epoch] for epoch in sorted(self.here)],
        }
