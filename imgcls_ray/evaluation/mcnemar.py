"""Two models on the same pictures: what only one of them has right."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Discordance:
    """Pictures that only one of two models answers right, and how likely as uneven a share is if they are equals."""

    first: int
    second: int
    p: float
    """Of McNemar's test, exact and two-sided (McNemar, Psychometrika 1947)."""


def discordance(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> Discordance:
    """Compare probabilities (n, K) of two models for pictures with the labels (n,) int."""
    one, other = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    left, right = int((one & ~other).sum()), int((other & ~one).sum())
    total = left + right
    # In whole numbers: the sum has thousands of digits with many pictures, and its share is still exact.
    tail, term = 0, 1  # of the binomial coefficients, each made of the one before
    for k in range(min(left, right) + 1):
        tail += term
        term = term * (total - k) // (k + 1)
    return Discordance(left, right, min(1.0, 2 * tail / 2**total))
