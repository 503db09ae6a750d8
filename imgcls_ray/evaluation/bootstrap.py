"""How far figures that were measured on some pictures may be off: the bootstrap over the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from imgcls_ray.evaluation.metrics import CLIP
from imgcls_ray.evaluation.reliability import BINS, places

Figure = Literal["accuracy", "loss", "f1_macro", "balanced_accuracy", "calibration_error"]

TIMES = 2000
"""Samples drawn. The ends of a 95 % interval then move by about a twentieth of its length from seed to seed."""
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure and the interval of `LEVEL` around it."""

    value: float
    low: float
    high: float


def drawn(models: Sequence[np.ndarray], labels: np.ndarray, figure: Figure, seed: int = 0) -> np.ndarray:
    """A figure of several models on the same samples of pictures (1 + TIMES, models) float64; the first row is on all.

    Each sample draws as many pictures as there are, with replacement (Efron & Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 6). The same sample for all models makes their differences paired: a picture that is hard
    for all of them cancels out.

    Args:
        models: probabilities (n, K) of each model.
        labels: the right class of each picture (n,) int.
        figure: macro figures are over the classes that occur among a sample's labels.
    """
    answers = [_Answers(probabilities, labels) for probabilities in models]
    generator = np.random.default_rng(seed)
    samples = (generator.integers(len(labels), size=len(labels)) for _ in range(TIMES))  # one at a time in memory
    every = np.arange(len(labels))
    return np.array([[one.figure(figure, sample) for one in answers] for sample in chain([every], samples)])


def interval(values: np.ndarray) -> Interval:
    """The percentile interval (Efron & Tibshirani, chapter 13) of a column of `drawn`, or of a difference of two."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values[1:], [tail, 100 - tail])
    return Interval(float(values[0]), float(low), float(high))


def figure_of(probabilities: np.ndarray, labels: np.ndarray, figure: Figure, rows: np.ndarray) -> float:
    """A figure of one model, with probabilities (n, K), on the pictures of these positions."""
    return _Answers(probabilities, labels).figure(figure, rows)


class _Answers:
    """What one model answers to each picture."""

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        self._classes = probabilities.shape[1]
        self._labels, self._given = labels, probabilities.argmax(axis=1)
        self._right = self._given == labels
        self._places = places(probabilities.max(axis=1))
        self._surplus = probabilities.max(axis=1).astype(np.float64) - self._right
        shares = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        self._losses = -np.log(np.clip(shares, CLIP, 1 - CLIP))

    def figure(self, figure: Figure, sample: np.ndarray) -> float:
        """On the pictures of these positions."""
        if figure == "loss":
            return float(self._losses[sample].mean())
        if figure == "calibration_error":
            surplus = np.bincount(self._places[sample], self._surplus[sample], BINS)
            return float(np.abs(surplus).sum() / len(sample))
        right = self._right[sample]
        if figure == "accuracy":
            return float(right.mean())
        labels = self._labels[sample]
        samples = np.bincount(labels, minlength=self._classes)
        there = samples > 0
        hits = np.bincount(labels[right], minlength=self._classes)[there]
        if figure == "balanced_accuracy":
            return float((hits / samples[there]).mean())
        answers = np.bincount(self._given[sample], minlength=self._classes)
        return float((2 * hits / (answers + samples)[there]).mean())
