"""Which models answer better together than the best of them alone, and with what weights."""

from collections.abc import Callable

import numpy as np

from imgcls_ray.evaluation.ensemble import Verdict
from imgcls_ray.evaluation.metrics import CLIP

ROUNDS = 20
"""Models drawn in a forward selection, with replacement: weights are multiples of a twentieth or more."""
BAGS = 10
"""Selections, each among a half of the models, whose weights are averaged."""
LEAST = 0.05
"""A smaller weight is not worth a network: it is shared out among the others."""
FOLDS = 5

Chooser = Callable[[np.ndarray], int]
"""From the positions of some pictures to the place of the model that is the best on them, by the study's rule."""


def forward_selection(right: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    """Weights (m,) float64 of models whose average has a low log loss; they sum to 1.

    The model that lowers the loss of the average most is added, again and again, be it in already; the best of all
    averages on the way is taken (Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models",
    ICML 2004, sections 2 and 2.1; the way back to the best average is AutoGluon's, Erickson et al., 2020). Of equals
    the first.

    Args:
        right: probability that each model gave the right class of each picture (m, n).
        rounds: additions.
    """
    total, counts = np.zeros(right.shape[1]), np.zeros(len(right))
    best, weights = np.inf, counts
    for number in range(1, rounds + 1):
        losses = _losses((total + right) / number).mean(axis=1)
        chosen = int(losses.argmin())
        counts[chosen] += 1
        total = total + right[chosen]
        if losses[chosen] < best:
            best, weights = float(losses[chosen]), counts / number
    return weights


def bagged_selection(right: np.ndarray, seed: int = 0) -> np.ndarray:
    """The mean weights (m,) of `BAGS` forward selections, each among half of the models (Caruana et al., section 2.3).

    With few pictures one selection fits their accidents; several among different models agree on less of them. Weights
    below `LEAST` become 0.
    """
    models, generator = len(right), np.random.default_rng(seed)
    weights = np.zeros(models)
    for _ in range(BAGS):
        bag = np.sort(generator.choice(models, (models + 1) // 2, replace=False))
        weights[bag] += forward_selection(right[bag])
    weights[weights < LEAST * BAGS] = 0
    return weights / weights.sum()


def judge(answers: np.ndarray, labels: np.ndarray, choose: Chooser) -> Verdict:
    """Weigh models, and compare their average with the single one that would be used, both cross-validated.

    The weights come from `bagged_selection` on all pictures. The comparison is of two ways to choose: four fifths of
    the pictures choose the weights and the single model, and the last fifth is answered with both. The single one must
    be chosen anew, too: the best of many trials owes a part of its lead to luck on these very pictures. The ensemble is
    accepted when its log loss is lower by more than one standard error of the difference (paired, over the pictures;
    the rule by which `search.choice` leaves the defaults), and its accuracy not lower by more than that.

    Args:
        answers: probabilities (m, n, K) of m models, each calibrated by itself: one that is too sure would count for
            more than its weight.
        labels: int (n,).
        choose: the single model to use.
    """
    rows = np.arange(len(labels))
    right = answers[:, rows, labels].astype(np.float64)
    joint, single = np.zeros(answers.shape[1:]), np.zeros(answers.shape[1:])
    for fold in range(min(FOLDS, len(rows))):
        out = rows % FOLDS == fold
        joint[out] = np.tensordot(bagged_selection(right[:, ~out]), answers[:, out].astype(np.float64), 1)
        single[out] = answers[choose(rows[~out])][out]
    gains = _losses(single[rows, labels]) - _losses(joint[rows, labels])
    gaps = (joint.argmax(axis=1) == labels).astype(float) - (single.argmax(axis=1) == labels)
    return Verdict(
        weights=tuple(bagged_selection(right).tolist()),
        gain=float(gains.mean()),
        noise=_standard_error(gains),
        accuracy_gap=float(gaps.mean()),
        accuracy_noise=_standard_error(gaps),
        pictures=len(rows),
    )


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _losses(right: np.ndarray) -> np.ndarray:
    losses: np.ndarray = -np.log(np.clip(right, CLIP, 1 - CLIP))
    return losses
