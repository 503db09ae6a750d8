"""Reference statistics for a service: what a model made of held-out pictures, and how much of a distance is chance."""

import numpy as np

from imgcls_ray.inference.reference import KINDS, Reference

LEAST = 20
"""Held-out pictures; fewer say too little."""
BINS = 10
DRAWS = 4000
QUANTILE = 0.999
_MOST = 2000
"""Pictures that halves are drawn from, where there are more."""
_CHUNK = 250
"""Draws at a time: it bounds the memory."""


def fit_reference(probabilities: np.ndarray, features: np.ndarray, seed: int = 0) -> Reference | None:
    """The statistics of answers (n, K) to held-out pictures and of their features (n, F), F may be 0; None below 20.

    What is chance is measured by a permutation test: the pictures are halved at random 4,000 times, and the 99.9 %
    quantile of the halves' distances is kept, times the square root of n m / (n + m), by which such distances shrink
    with the sizes n and m of the samples (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 15).
    """
    count, classes = probabilities.shape
    if count < LEAST:
        return None
    labels, highest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    edges = np.unique([_short(edge) for edge in np.quantile(highest, np.arange(1, BINS) / BINS)])
    bins = np.searchsorted(edges, highest, side="right")
    if not features.std(axis=0).any():
        features = features[:, :0]
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(count, min(count, _MOST), replace=False))
    limits = _limits(_one_hot(labels[some], classes), _one_hot(bins[some], len(edges) + 1), features[some], rng)
    return Reference(
        pictures=count,
        labels=tuple(np.bincount(labels, minlength=classes).tolist()),
        edges=tuple(edges.tolist()),
        confidence=tuple(np.bincount(bins, minlength=len(edges) + 1).tolist()),
        mean=tuple(map(_short, features.mean(axis=0))),
        deviation=tuple(map(_short, features.std(axis=0))),
        limits={kind: _short(value) for kind, value in limits.items()},
    )


def _limits(labels: np.ndarray, bins: np.ndarray, features: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """By kind. Labels (n, K) and bins (n, B) are one-hot."""
    count = len(labels)
    features = (features - features.mean(axis=0)).astype(np.float32)
    squares = features**2
    spread = float(squares.mean(axis=0).sum())
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in (KINDS if spread else KINDS[:2])}
    half = count // 2
    for _ in range(DRAWS // _CHUNK):
        chosen = np.zeros((_CHUNK, count), np.float32)
        np.put_along_axis(chosen, rng.random((_CHUNK, count)).argsort(axis=1)[:, :half], 1, axis=1)
        parts = ((chosen / half), (1 - chosen) / (count - half))
        for kind, one_hot in (("labels", labels), ("confidence", bins)):
            one, other = (part @ one_hot for part in parts)
            found[kind].append(np.abs(one - other).sum(axis=1) / 2)
        if spread:
            means = [part @ features for part in parts]
            deviations = [
                np.sqrt(np.maximum(part @ squares - mean**2, 0)) for part, mean in zip(parts, means, strict=True)
            ]
            moved = ((means[0] - means[1]) ** 2).sum(axis=1) + ((deviations[0] - deviations[1]) ** 2).sum(axis=1)
            found["embedding"].append(np.sqrt(moved / spread))
    scale = np.sqrt(half * (count - half) / count)
    return {kind: float(scale * np.quantile(np.concatenate(values), QUANTILE)) for kind, values in found.items()}


def _short(value: float) -> float:
    """Six digits: a thousand features make a file of some 20 kB."""
    return float(f"{value:.6g}")


def _one_hot(numbers: np.ndarray, count: int) -> np.ndarray:
    """(n, count) float32."""
    return np.eye(count, dtype=np.float32)[numbers]
