"""How good a model's answers are."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from imgcls_ray.errors import DataError, ModelError
from imgcls_ray.evaluation.reliability import (
    debiased_error,
    error_by_chance,
    expected_calibration_error,
    reliability,
)

CLIP = 1e-7
"""Probabilities are cut to [CLIP, 1 - CLIP] before the logarithm, so that one sure mistake costs 16, not infinity."""

TOP = (2, 3, 5)


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest, at the highest probability. 0 where a figure would divide by zero."""

    precision: float
    recall: float
    f1: float
    support: int
    """Pictures that have this label."""
    auc: float | None
    """Area under the ROC curve of this class's probability; None where all pictures or none have the label."""


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
    matthews: float
    """Matthews' correlation for several classes (Gorodkin 2004), -1 to 1: 0 is chance, however uneven the classes."""
    auc_macro: float | None
    """Mean of the classes' areas; None where none has one."""
    top_k: dict[int, float]
    """k -> share of pictures whose label is among the k most probable; k = 2, 3 and 5, as far as there are classes."""
    calibration_error: float
    """Expected calibration error of the highest probability, in 15 bins; see `evaluation.reliability`."""
    calibration_error_by_chance: float
    """What it would be on average on so many pictures if each probability was exactly right."""
    calibration_error_debiased: float
    """The distance of probability and accuracy (root mean square) without what chance adds."""
    confusion: list[list[int]]
    """Pictures by label (rows) and answer (columns), in the order of `per_class`."""

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

    # Here: it costs half a second of start-up.
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(names)), average=None, zero_division=0
    )
    present = support > 0
    some = present & (support < len(labels))
    areas = {i: float(roc_auc_score(labels == i, probabilities[:, i])) for i in np.flatnonzero(some).tolist()}
    confusion = confusion_matrix(labels, predicted, labels=np.arange(len(names)))
    rank = (probabilities > probabilities[np.arange(len(labels)), labels][:, None]).sum(axis=1)
    return Metrics(
        accuracy=float((predicted == labels).mean()),
        loss=log_loss(probabilities, labels),
        f1_macro=float(f1[present].mean()),
        precision_macro=float(precision[present].mean()),
        recall_macro=float(recall[present].mean()),
        per_class={
            name: ClassMetrics(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]), areas.get(i))
            for i, name in enumerate(names)
        },
        images=len(labels),
        matthews=_matthews(confusion),
        auc_macro=float(np.mean(list(areas.values()))) if areas else None,
        top_k={k: float((rank < k).mean()) for k in TOP if k < len(names)},
        calibration_error=expected_calibration_error(reliability(probabilities, labels)),
        calibration_error_by_chance=error_by_chance(probabilities),
        calibration_error_debiased=debiased_error(probabilities, labels),
        confusion=confusion.tolist(),
    )


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of the negative natural logarithm of the right class's probability, of (n, K) float and (n,) int."""
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(right, CLIP, 1 - CLIP)).mean())


def _matthews(confusion: np.ndarray) -> float:
    """From counts (K, K); 0 where all pictures have one label or one answer. (scikit-learn's warns there.)"""
    total, right = int(confusion.sum()), int(confusion.trace())
    labels, answers = confusion.sum(axis=1).astype(float), confusion.sum(axis=0).astype(float)
    spread = (total**2 - answers @ answers) * (total**2 - labels @ labels)
    return float((right * total - labels @ answers) / np.sqrt(spread)) if spread > 0 else 0.0
