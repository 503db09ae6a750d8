"""How far a model's probabilities can be believed: reliability, coverage, thresholds."""

from dataclasses import dataclass

import numpy as np

BINS = 15
"""Of the reliability curve and the expected calibration error, as in Guo et al., ICML 2017."""
NEVER = 2.0
"""A threshold that no probability reaches."""


@dataclass(frozen=True)
class Bin:
    """Pictures whose highest probability is in (low, high]."""

    low: float
    high: float
    pictures: int
    confidence: float
    """Mean highest probability; 0 without pictures."""
    accuracy: float
    """Share of right answers; 0 without pictures."""


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The reliability curve: how often answers of about each probability are right, in bins of equal width."""
    highest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    inside_of = places(highest, bins)
    found = []
    for place in range(bins):
        inside = inside_of == place
        number = int(inside.sum())
        confidence, accuracy = (float(highest[inside].mean()), float(right[inside].mean())) if number else (0.0, 0.0)
        found.append(Bin(place / bins, (place + 1) / bins, number, confidence, accuracy))
    return found


def places(highest: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin (n,) int, from 0, that each of the highest probabilities (n,) falls into."""
    return np.clip(np.ceil(highest * bins).astype(int) - 1, 0, bins - 1)


def expected_calibration_error(curve: list[Bin]) -> float:
    """Mean distance between confidence and accuracy over a reliability curve, weighted by pictures (Guo et al.)."""
    total = sum(part.pictures for part in curve)
    return sum(part.pictures * abs(part.confidence - part.accuracy) for part in curve) / total if total else 0.0


def coverage(probabilities: np.ndarray, labels: np.ndarray) -> list[tuple[float, float, float]]:
    """(threshold, coverage, accuracy of the answers given) for each threshold that changes what is answered.

    From the surest answer alone to all of them; both shares are from 0 to 1.
    """
    highest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    order = np.argsort(-highest, kind="stable")
    given = np.arange(1, len(order) + 1)
    accuracy = np.cumsum(right[order]) / given
    last = np.append(np.diff(highest[order]) != 0, True)  # equal ones are answered together
    shares = given / len(order)
    return [(float(highest[order[n]]), float(shares[n]), float(accuracy[n])) for n in np.flatnonzero(last).tolist()]


def threshold(highest: np.ndarray, right: np.ndarray, risk: float) -> float:
    """The lowest probability at which the answers given are wrong in at most `risk` of the cases; else `NEVER`.

    Args:
        highest: (n,) probabilities of the answers.
        right: bool (n,), whether each is right.
        risk: from 0 to 1.
    """
    order = np.argsort(-highest, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(highest[order]) != 0, True)
    fitting = np.flatnonzero((wrong <= risk) & last)
    if not len(fitting):
        return NEVER
    return 0.0 if fitting[-1] == len(order) - 1 else float(highest[order[fitting[-1]]])
