"""What a model made of held-out pictures, and how far what it is asked now lies from that."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["labels", "confidence", "embedding"]
KINDS: tuple[Kind, ...] = ("labels", "confidence", "embedding")
"""Which class was answered, with which probability, and the features that it was answered by."""


@dataclass(frozen=True)
class Summary:
    """What a model made of some pictures."""

    pictures: int
    labels: np.ndarray
    """(K,): how many were answered with each class."""
    confidence: np.ndarray
    """(B,): how many had their highest probability in each bin."""
    mean: np.ndarray
    """(F,) of the features; F is 0 for a network that gives none out."""
    deviation: np.ndarray
    """(F,) standard deviations."""


@dataclass(frozen=True)
class Reference:
    """The summary of held-out pictures in a form that travels with a model, and what is chance."""

    pictures: int
    labels: tuple[int, ...]
    edges: tuple[float, ...]
    """(B - 1,) between the bins of the highest probability: about as many held-out pictures lie in each."""
    confidence: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    limits: dict[str, float]
    """By kind: the distance of one sample of held-out pictures from another one, times the square root of
    n m / (n + m) for n and m pictures, that only one of a thousand exceeds. See `evaluation.drift`."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What can be compared."""
        return KINDS if self.mean else KINDS[:2]

    def bins(self, highest: np.ndarray) -> np.ndarray:
        """The bin (n,) int of each highest probability (n,)."""
        return np.searchsorted(np.array(self.edges), highest, side="right")

    def distances(self, now: Summary) -> dict[Kind, float]:
        """How far pictures lie from the held-out ones.

        Of labels and confidence: the total variation distance, the share of pictures that would have to be answered
        otherwise, 0 to 1. Of the embedding: the Fréchet distance of two normal distributions with independent features
        (Heusel et al., NeurIPS 2017, with the diagonal of the covariance), in units of how far held-out pictures
        spread round their mean, so that one of 1 is as large as that.
        """
        found: dict[Kind, float] = {
            "labels": variation(now.labels, np.array(self.labels)),
            "confidence": variation(now.confidence, np.array(self.confidence)),
        }
        if self.mean:
            mean, deviation = np.array(self.mean), np.array(self.deviation)
            moved = np.sum((now.mean - mean) ** 2) + np.sum((now.deviation - deviation) ** 2)
            found["embedding"] = float(np.sqrt(moved / max(np.sum(deviation**2), 1e-12)))
        return found

    def limit(self, kind: Kind, pictures: int) -> float:
        """The distance of as many pictures that only one of a thousand samples like the held-out ones exceeds."""
        return self.limits[kind] * float(np.sqrt(1 / pictures + 1 / self.pictures))

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Reference":
        """Read what `to_json` made.

        Raises:
            ValueError: a key is missing or unknown, or a value can't be.
        """
        try:
            lists = ("labels", "edges", "confidence", "mean", "deviation")
            found = cls(**(document | {name: tuple(document[name]) for name in lists}))
            numbers = [*found.edges, *found.mean]
            counts = [*found.labels, *found.confidence, *found.deviation, *found.limits.values()]
            legal = (
                all(abs(float(number)) < float("inf") for number in numbers)
                and all(0 <= float(number) < float("inf") for number in counts)
                and len(found.confidence) == len(found.edges) + 1
                and len(found.mean) == len(found.deviation)
                and list(found.edges) == sorted(found.edges)
                and sum(found.labels) == sum(found.confidence) == found.pictures > 0
                and set(found.limits) == set(found.kinds)
            )
        except (TypeError, ValueError, KeyError, AttributeError):
            legal = False
        if not legal:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"reference statistics have the keys {known}, with numbers that fit each other")
        return found


def variation(one: np.ndarray, other: np.ndarray) -> float:
    """Total variation distance of two counts (B,) of the same bins; 0 where one is empty."""
    if not one.sum() or not other.sum():
        return 0.0
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)
