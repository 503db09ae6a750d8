"""What a model's threshold trades: precision for recall, coverage for accuracy."""

from dataclasses import dataclass

import numpy as np

from imgcls_ray.inference.calibration import Calibration

GRID = 101
"""Places of the mean curve, from a recall of 0 to 1."""


@dataclass(frozen=True)
class PrecisionRecall:
    """One class against the rest, at each probability that changes what is answered, the highest first."""

    recall: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray
    """float (m,), all three."""

    @property
    def average_precision(self) -> float:
        """The mean precision, each weighted with the recall that it adds: scikit-learn's `average_precision_score`."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))

    def summary(self, points: int) -> "Summary":
        """What a report keeps of it."""
        return Summary(self.average_precision, tuple(self.thinned(points)), self.at(np.linspace(0, 1, GRID)))

    def at(self, recall: np.ndarray) -> np.ndarray:
        """The best precision that can be had with at least these recalls."""
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return best[np.minimum(np.searchsorted(self.recall, recall - 1e-12), len(best) - 1)]

    def thinned(self, points: int) -> list[tuple[float, float, float]]:
        """(recall, precision, threshold) where each of so many recalls from 0 to 1 is reached first."""
        chosen = np.unique(np.searchsorted(self.recall, np.linspace(0, 1, points) - 1e-12))
        rows = np.stack([self.recall, self.precision, self.threshold], axis=1)[chosen]
        return [(float(a), float(b), float(c)) for a, b, c in rows]


@dataclass(frozen=True)
class Summary:
    """A curve in few numbers: of many classes and pictures the curves themselves would take gigabytes."""

    average_precision: float
    points: tuple[tuple[float, float, float], ...]
    """(recall, precision, threshold), thinned out."""
    best: np.ndarray
    """(101,) the best precision that can be had with at least each recall from 0 to 1."""


def precision_recall(scores: np.ndarray, positive: np.ndarray) -> PrecisionRecall | None:
    """The curve of one class; None where no picture has it.

    Args:
        scores: its probability (n,).
        positive: bool (n,), which pictures have its label.
    """
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # equal ones are answered together
    hits = np.cumsum(positive[order])[last]
    given = np.flatnonzero(last) + 1
    return PrecisionRecall(hits / positive.sum(), hits / given, scores[order][last].astype(np.float64))


def mean_curve(curves: list[Summary]) -> list[tuple[float, float]]:
    """(recall, mean of the classes' best precisions) at 101 places; at least one curve."""
    means = np.mean([curve.best for curve in curves], axis=0)
    return list(zip(np.linspace(0, 1, GRID).tolist(), means.tolist(), strict=True))


@dataclass(frozen=True)
class Operating:
    """What a bundle's thresholds come to on some pictures."""

    coverage: float
    """Share of pictures that are answered (`sure`)."""
    accuracy: float | None
    """Share of these answers that are right; None where there is none."""
    unsure_accuracy: float | None
    """The same of the others, had they been answered; None where there is none."""
    sure: int
    unsure: int


def is_sure(probabilities: np.ndarray, names: tuple[str, ...], calibration: Calibration) -> np.ndarray:
    """Bool (n,): whether calibrated probabilities (n, K) reach the threshold of their class."""
    least = np.array([calibration.threshold_of(name) for name in names])
    return np.asarray(probabilities.max(axis=1) >= least[probabilities.argmax(axis=1)])


def operating(
    probabilities: np.ndarray, labels: np.ndarray, names: tuple[str, ...], calibration: Calibration
) -> Operating:
    """Where the thresholds put a model, for calibrated probabilities (n, K) and labels (n,)."""
    sure = is_sure(probabilities, names, calibration)
    right = probabilities.argmax(axis=1) == labels
    parts = [float(right[part].mean()) if part.any() else None for part in (sure, ~sure)]
    return Operating(float(sure.mean()), parts[0], parts[1], int(sure.sum()), int((~sure).sum()))
