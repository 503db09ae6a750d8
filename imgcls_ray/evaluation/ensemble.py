"""An ensemble of a study's trials: its members, and whether it is better than the best of them."""

from dataclasses import asdict, dataclass
from typing import Any

FIGURES = ("gain", "noise", "accuracy_gap", "accuracy_noise", "pictures")
"""Of a verdict, in JSON."""


@dataclass(frozen=True)
class Verdict:
    """An ensemble against the best single model, both on pictures that they were not chosen on."""

    weights: tuple[float, ...]
    """Of each model; they sum to 1."""
    gain: float
    """How much lower the mean log loss is (natural logarithm), by cross-validation."""
    noise: float
    """One standard error of the gain."""
    accuracy_gap: float
    """How much higher the accuracy is, in the same way."""
    accuracy_noise: float
    pictures: int

    @property
    def members(self) -> int:
        """Models that have a weight."""
        return sum(weight > 0 for weight in self.weights)

    @property
    def accepted(self) -> bool:
        """Whether the ensemble is better beyond the rule: see `selection.judge`."""
        return self.members > 1 and self.gain > self.noise and self.accuracy_gap >= -self.accuracy_noise

    @property
    def sentence(self) -> str:
        """What was decided, and why."""
        if self.members == 1:
            return f"no ensemble: the selection has one trial alone on {self.pictures} validation pictures"
        decided = "accepted" if self.accepted else "rejected, the best single trial stays"
        return (
            f"an ensemble of {self.members} trials is {decided}: log loss {-self.gain:+.4f} (noise {self.noise:.4f}), "
            f"accuracy {self.accuracy_gap:+.4f} (noise {self.accuracy_noise:.4f}) against the single one, by "
            f"cross-validation on {self.pictures} validation pictures"
        )


@dataclass(frozen=True)
class Member:
    """A trial of an ensemble."""

    trial: int
    weight: float
    temperature: float
    """Its logits are divided by it before the average."""


@dataclass(frozen=True)
class Ensemble:
    """What was considered, and what came of it."""

    members: tuple[Member, ...]
    """The heaviest first; none where there was nothing to join."""
    verdict: Verdict | None
    cost: float
    """Multiply-adds of the joined network, times those of the single one."""
    refused: str = ""
    """Why there was nothing to join."""

    @property
    def accepted(self) -> bool:
        """Whether it takes the place of the single trial."""
        return self.verdict is not None and self.verdict.accepted

    @property
    def sentence(self) -> str:
        """What was decided, why, and what it costs to serve."""
        if self.verdict is None:
            return f"no ensemble: {self.refused}"
        cost = f"; serving costs {self.cost:.2f} times the multiply-adds" if self.accepted else ""
        return self.verdict.sentence + cost

    def to_json(self) -> dict[str, Any]:
        """The figures (None where there was nothing to join), the members and the conclusions."""
        figures = {name: getattr(self.verdict, name, None) for name in FIGURES}
        members = [asdict(member) for member in self.members]
        return {
            "accepted": self.accepted,
            **figures,
            "cost": self.cost,
            "members": members,
            "sentence": self.sentence,
        }
