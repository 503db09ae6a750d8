"""How far all the figures of one model may be off, by the bootstrap over the pictures (see `bootstrap`)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imgcls_ray.evaluation.bootstrap import LEVEL, TIMES, Interval
from imgcls_ray.evaluation.metrics import CLIP, TOP

CELLS = 4_000_000
"""Samples times pictures that are counted at a time."""


@dataclass(frozen=True)
class ClassSpread:
    """One class; None where a figure does not exist, as without pictures."""

    precision: Interval | None
    recall: Interval | None
    f1: Interval | None


@dataclass(frozen=True)
class Spread:
    """Every headline figure with its interval of 95 %."""

    figures: dict[str, Interval]
    """By the names of `Metrics`, and `balanced_accuracy`, `top_2` and so on; without those that do not exist."""
    classes: tuple[ClassSpread, ...]


def spread(probabilities: np.ndarray, labels: np.ndarray, seed: int = 0) -> Spread:
    """Draw 2,000 samples of as many pictures, with replacement, and measure each.

    Args:
        probabilities: (n, K), n at least 1.
        labels: (n,) int.
        seed: of the samples.
    """
    counts = _Counts(probabilities, labels)
    parts = [counts.figures(weights) for weights in _weights(len(labels), TIMES, seed)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    figures = {name: _interval(column) for name, column in columns.items() if column.ndim == 1}
    classes = []
    for place in range(probabilities.shape[1]):
        # A sample without a picture of the class says nothing of it.
        found = (_interval(columns[name][:, place]) for name in ("precision", "recall", "f1"))
        classes.append(ClassSpread(*found))
    return Spread({name: value for name, value in figures.items() if value is not None}, tuple(classes))


def _weights(pictures: int, times: int, seed: int) -> Iterator[np.ndarray]:
    """How often each picture is in each sample (some samples, n) float32; first one that has each picture once."""
    generator = np.random.default_rng(seed)
    yield np.ones((1, pictures), np.float32)
    left, most = times, max(CELLS // pictures, 1)
    while left:
        rows = min(left, most)
        drawn = generator.integers(pictures, size=(rows, pictures)) + pictures * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * pictures).reshape(rows, pictures).astype(np.float32)
        left -= rows


def _interval(column: np.ndarray) -> Interval | None:
    """The percentile interval of a figure on all pictures and on samples of them."""
    if np.isnan(column[0]):
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(column[1:], [tail, 100 - tail])
    return Interval(float(column[0]), float(low), float(high))


class _Counts:
    """What a model answers to each picture, ready to be summed over samples."""

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        self._scores, self._labels, self._given = probabilities, labels, probabilities.argmax(axis=1)
        self._right = (self._given == labels).astype(np.float32)
        shares = probabilities[np.arange(len(labels)), labels]
        self._losses = -np.log(np.clip(shares.astype(np.float64), CLIP, 1 - CLIP)).astype(np.float32)
        self._rank = (probabilities > shares[:, None]).sum(axis=1)
        self._area, self._area_shares = self._areas()

    def figures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Of some samples (t, n): figures (t,), and (t, K) of the classes; NaN where there is none."""
        total = float(len(self._labels))
        labels, answers = self._by(self._labels, weights), self._by(self._given, weights)
        hits = self._by(self._labels, weights * self._right)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = np.where(labels > 0, hits / labels, np.nan)
            precision = np.where(labels > 0, np.where(answers > 0, hits / answers, 0.0), np.nan)
            f1 = np.where(labels > 0, 2 * hits / (labels + answers), np.nan)
            there = hits.sum(axis=1)
            both = (labels * answers).sum(axis=1)
            away = (total**2 - (answers**2).sum(axis=1)) * (total**2 - (labels**2).sum(axis=1))
            matthews = np.where(away > 0, (there * total - both) / np.sqrt(away), 0.0)
        found = {
            "accuracy": there / total,
            "loss": weights @ self._losses / total,
            "balanced_accuracy": np.nanmean(recall, axis=1),
            "precision_macro": np.nanmean(precision, axis=1),
            "recall_macro": np.nanmean(recall, axis=1),
            "f1_macro": np.nanmean(f1, axis=1),
            "matthews": matthews,
            "auc_macro": np.minimum(self._area + weights @ self._area_shares, 1.0),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
        for k in TOP:
            if k < self._scores.shape[1]:
                found[f"top_{k}"] = weights @ (self._rank < k).astype(np.float32) / total
        return found

    def _areas(self) -> tuple[float, np.ndarray]:
        """The mean area under the classes' ROC curves, and what one picture more adds to it (n,), to the first order.

        These are the structural components of DeLong, DeLong and Clarke-Pearson ("Comparing the Areas under Two or More
        Correlated Receiver Operating Characteristic Curves", Biometrics 1988): a sort for each class, whatever the
        number of samples.
        """
        areas, shares = [], np.zeros(len(self._labels))
        for place in np.unique(self._labels):
            positive = self._labels == place
            if positive.all():
                continue
            scores = self._scores[:, place]
            own, others = np.sort(scores[positive]), np.sort(scores[~positive])
            won = np.empty(len(scores))
            won[positive] = _below(others, scores[positive])
            won[~positive] = 1 - _below(own, scores[~positive])
            area = float(won[positive].mean())
            areas.append(area)
            shares += (won - area) / np.where(positive, len(own), len(others))
        return (float(np.mean(areas)), shares / len(areas)) if areas else (np.nan, shares)

    def _by(self, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sums of weights (t, n) over the pictures of each place (t, K) float64."""
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(self._scores.shape[1]), side="right")
        sums = np.concatenate(
            [np.zeros((len(weights), 1)), np.cumsum(weights[:, order], axis=1, dtype=np.float64)], axis=1
        )
        return np.diff(sums[:, np.append(0, ends)], axis=1)


def _below(others: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of the sorted `others` that are below each score (m,); of an equal one a half counts."""
    sides = [np.searchsorted(others, scores, side=side) for side in ("left", "right")]
    return (sides[0] + sides[1]) / (2 * len(others))
