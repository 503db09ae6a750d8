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
    return curve_of(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, bins)


def curve_of(highest: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The same from the highest probability (n,) of each picture and whether the answer is right, bool (n,)."""
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


def debiased_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """The root mean square distance between confidence and accuracy, without what chance adds to it.

    Of few pictures the expected calibration error is mostly chance (`error_by_chance`). This estimator takes the
    expected share of chance off the square of each bin, in bins of equally many pictures (Kumar, Liang, Ma, "Verified
    Uncertainty Calibration", NeurIPS 2019, section 5); 0 where less than nothing is left. Of equal bins it is never
    below the expected calibration error that very many pictures would show. Of fewer than four pictures: 0.
    """
    highest, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    parts = np.array_split(np.argsort(highest, kind="stable"), max(1, min(bins, len(labels) // 2)))
    total = 0.0
    for part in parts if len(labels) > 3 else ():
        accuracy = float(right[part].mean())
        square = (float(highest[part].mean()) - accuracy) ** 2 - accuracy * (1 - accuracy) / (len(part) - 1)
        total += len(part) / len(labels) * square
    return float(np.sqrt(max(total, 0.0)))


def error_by_chance(probabilities: np.ndarray, times: int = 200, seed: int = 0) -> float:
    """The expected calibration error that these probabilities would have on average if each was exactly right.

    Which answers are right is drawn `times` times with the answers' own probabilities. With 300 pictures it is
    0.03 to 0.06: so much, no calibration can better.
    """
    highest = probabilities.max(axis=1).astype(np.float64)
    inside_of, generator = places(highest), np.random.default_rng(seed)

    def gap() -> float:
        right = generator.random(len(highest)) < highest
        return float(np.abs(np.bincount(inside_of, right - highest, BINS)).sum())

    return sum(gap() for _ in range(times)) / times / len(highest) if len(highest) else 0.0


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
