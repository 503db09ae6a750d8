"""Fitting what `inference.calibration` applies."""

import numpy as np

from imgcls_ray.errors import DataError
from imgcls_ray.evaluation.reliability import threshold
from imgcls_ray.inference.calibration import RISK, Calibration, logits, tempered

COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are tried."""
FEWEST_WRONG = 5
"""A class has a threshold of its own where so many wrong answers are accepted: at a risk of 5 %, with 100 answers. With
20 the threshold was where the first wrong one happened to be, and of other pictures twice as many were wrong."""
FOLDS = 5
_TINY = 1e-12


def calibrate(probabilities: np.ndarray, labels: np.ndarray, names: tuple[str, ...], risk: float = RISK) -> Calibration:
    """Fit a temperature, then thresholds, on pictures that the network was not trained on.

    The temperature minimises the log loss (Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks",
    ICML 2017, section 4.2); see `fit_temperature`. It stays 1 where, by cross-validation, one that was fitted makes the
    answers to other pictures worse, as can be with few of them. A threshold is the lowest probability at which the
    answers given were wrong in at most `risk` of the cases: an estimate from these pictures, and no guarantee for
    others. The classes that have none of their own share one, from their answers alone.

    Args:
        probabilities: softmax outputs (n, K).
        labels: int (n,), positions in the K `names`.
        names: the classes.
        risk: from 0 to 1.

    Raises:
        DataError: there is no picture.
    """
    if len(labels) == 0:
        raise DataError("A model is calibrated on at least one picture; there is none.")
    temperature = fit_temperature(probabilities, labels) if _pays(probabilities, labels) else 1.0
    after = Calibration(temperature).apply(probabilities)
    highest, answered = after.max(axis=1), after.argmax(axis=1)
    right = answered == labels
    own = {
        name: threshold(highest[answered == place], right[answered == place], risk)
        for place, name in enumerate(names)
        if (answered == place).sum() * risk >= FEWEST_WRONG
    }
    # The general threshold is for the other classes: with the answers of these ones it would break their risk.
    others = ~np.isin(answered, [place for place, name in enumerate(names) if name in own])
    shared = others if others.any() else np.ones_like(others)
    return Calibration(temperature, risk, threshold(highest[shared], right[shared], risk), own, len(labels))


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature from 0.05 to 20 with the lowest log loss; 1 where none is better.

    The loss counts one mistake more than there is, spread over all pictures and classes (labels smoothed by
    1 / (n + 2), Laplace's rule): where all n answers are right, no temperature would otherwise be cold enough, and each
    probability would become 1.
    """
    from scipy.optimize import minimize_scalar  # here: it costs a start-up that most commands do not need

    known = logits(probabilities)

    def loss(logarithm: float) -> float:
        return float(_losses(known, labels, float(np.exp(logarithm)), len(labels)).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def _pays(probabilities: np.ndarray, labels: np.ndarray) -> bool:
    """Whether temperatures lower the same log loss of pictures that they were not fitted on, by cross-validation."""
    if len(labels) < FOLDS:
        return False
    rows, gain = np.arange(len(labels)), 0.0
    for fold in range(FOLDS):
        out = rows % FOLDS == fold
        temperature = fit_temperature(probabilities[~out], labels[~out])
        known = logits(probabilities[out])
        before, after = (_losses(known, labels[out], heat, len(labels)) for heat in (1.0, temperature))
        gain += float((before - after).sum())
    return gain > 0


def _losses(known: np.ndarray, labels: np.ndarray, temperature: float, pictures: int) -> np.ndarray:
    """Log losses (n,) of logits (n, K) at a temperature, of labels smoothed as one mistake in `pictures` + 2."""
    share = 1 / (pictures + 2)
    logarithms = tempered(known, temperature)
    np.log(np.maximum(logarithms, _TINY, out=logarithms), out=logarithms)  # in place: it is as large as the answers
    losses: np.ndarray = -(1 - share) * logarithms[np.arange(len(labels)), labels] - share * logarithms.mean(axis=1)
    return losses
