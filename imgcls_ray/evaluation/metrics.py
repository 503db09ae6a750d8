"""How good a model's answers are."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from imgcls_ray.errors import DataError, ModelError

CLIP = 1e-7
"""Probabilities are cut to [CLIP, 1 - CLIP] before the logarithm, so that one sure mistake costs 16, not infinity."""


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest, at the highest probability. 0 where a figure would divide by zero."""

    precision: float
    recall: float
    f1: float
    support: int
    """Pictures that have this label."""


@dataclass(frozen=True)
class Metrics:
    """Figures over a set of pictures. Macro means are over the classes that occur among the labels."""

    accuracy: float
    loss: float
    """Mean log loss (natural logarithm) of the right class."""
    f1_macro: float
    precision_macro: float
    recall_macro: float
    per_class: dict[str, ClassMetrics]
    """Every class of the model, in its order; a class without pictures has support 0."""
    images: int

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, texts and dicts."""
        return asdict(self)


def score(probabilities: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Metrics:
    """Compare probabilities (n, K) float with labels (n,) int, the position in the K `names`.

    Precision, recall and F1 are scikit-learn's `precision_recall_fscore_support` with `zero_division=0`.

    Raises:
        DataError: there is no picture.
        ModelError: a probability is not a finite number.
        ValueError: the shapes do not fit each other, or a label is outside 0..K-1.
    """
    if len(labels) == 0:
        raise DataError("A model is evaluated on at least one picture; there is none that can be used.")
    if probabilities.shape != (len(labels), len(names)):
        raise ValueError(f"probabilities are ({len(labels)}, {len(names)}); received {probabilities.shape}")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(f"labels are 0 to {len(names) - 1}; received {labels.min()} to {labels.max()}")
    if not np.isfinite(probabilities).all():
        raise ModelError("The model answers with something that is not a number; train it again, with a lower rate.")

    from sklearn.metrics import precision_recall_fscore_support  # here: it costs half a second of start-up

    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(names)), average=None, zero_division=0
    )
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    present = support > 0
    return Metrics(
        accuracy=float((predicted == labels).mean()),
        loss=float(-np.log(np.clip(right, CLIP, 1 - CLIP)).mean()),
        f1_macro=float(f1[present].mean()),
        precision_macro=float(precision[present].mean()),
        recall_macro=float(recall[present].mean()),
        per_class={
            name: ClassMetrics(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, name in enumerate(names)
        },
        images=len(labels),
    )
