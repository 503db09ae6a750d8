"""Pictures whose labels look wrong."""

import numpy as np

SURE = 0.9
"""A label is doubted where a model that has not learned from the picture gives another class at least this much."""


def doubtful(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Positions (m,) of the pictures whose label a model contradicts, the clearest contradiction first.

    Confident learning (Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
    2021, section 3): the model gives another class at least the probability that pictures of that class have on
    average. Here it is at least 0.9 besides, since a weak model's averages are low. They are ordered by how much more
    probable that class is than the label.

    Args:
        probabilities: calibrated, (n, K), of pictures that the model has not learned from.
        labels: (n,) int.
    """
    rows, answers = np.arange(len(labels)), probabilities.argmax(axis=1)
    usual = np.array(
        [
            probabilities[labels == place, place].mean() if (labels == place).any() else np.inf
            for place in range(probabilities.shape[1])
        ]
    )
    highest = probabilities[rows, answers]
    found = np.flatnonzero((answers != labels) & (highest >= usual[answers]) & (highest >= SURE))
    margin = highest - probabilities[rows, labels]
    return found[np.argsort(-margin[found], kind="stable")]
