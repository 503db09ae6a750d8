"""Optimiser and learning-rate schedule of a trial."""

import keras
import numpy as np

from imgcls_ray.config import TrialSettings


def build_optimizer(settings: TrialSettings) -> keras.optimizers.Optimizer:
    """The optimiser with its own learning rate left to the loop, which sets it before each step."""
    match settings.optimizer:
        case "sgd":
            return keras.optimizers.SGD(settings.learning_rate, momentum=0.9, nesterov=True)
        case "adamw":
            return keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
        case "adam":
            return keras.optimizers.Adam(settings.learning_rate)


def learning_rates(settings: TrialSettings, steps: np.ndarray, total: int) -> np.ndarray:
    """The rate of each of `steps` (n,) out of `total`, as float32 (n,).

    `cosine` falls from the learning rate to zero at the end (Loshchilov & Hutter, SGDR, 2017, eq. 5, one cycle).
    """
    if settings.schedule == "constant":
        return np.full(len(steps), settings.learning_rate, np.float32)
    share = np.clip(steps / max(total, 1), 0, 1)
    return (settings.learning_rate * 0.5 * (1 + np.cos(np.pi * share))).astype(np.float32)
