"""The loss of a sample, and how much each class counts in it."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.config import TrialSettings
from imgcls_ray.config.weighting import parse_weighting
from imgcls_ray.data.labels import Labels
from imgcls_ray.errors import SettingsError, nearest

LossFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From targets (n, K) that sum to 1 and probabilities (n, K) to losses (n,), all float32."""


def class_weights(weighting: str, labels: Labels, counts: Sequence[int]) -> np.ndarray:
    """The weight of each class (K,) float32; their mean over the samples is 1, so that a learning rate keeps its sense.

    `balanced` is scikit-learn's: samples / (classes x the class's samples). Named weights are shares of one another.

    Raises:
        SettingsError: no class has this name.
    """
    samples = np.asarray(counts, np.float64)
    if weighting == "balanced":
        weights = np.divide(1.0, samples, out=np.zeros_like(samples), where=samples > 0)
    else:
        weights = np.ones(len(samples))
        for name, weight in parse_weighting(weighting).items():
            if name not in labels.names:
                raise SettingsError(
                    f"'class_weighting' names classes of the data; received '{name}'{nearest(name, labels.names)}; "
                    f"there are {', '.join(labels.names)}."
                )
            weights[labels.names.index(name)] = weight
    return (weights * samples.sum() / max((weights * samples).sum(), 1e-12)).astype(np.float32)


def build_loss(settings: TrialSettings, weights: np.ndarray | None) -> LossFunction:
    """The trial's loss; what is off is not in the graph.

    `focal` is that of Lin et al. (Focal Loss, 2017, eq. 4) for several classes: -sum_k t_k (1 - p_k)^gamma log p_k.
    Where targets are mixed the weight of a sample is mixed in the same way.
    """
    smoothing = settings.label_smoothing

    def loss(target: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        if settings.loss == "focal":
            losses = keras.losses.categorical_focal_crossentropy(
                target, probabilities, alpha=1.0, gamma=settings.focal_gamma, label_smoothing=smoothing
            )
        else:
            losses = keras.losses.categorical_crossentropy(target, probabilities, label_smoothing=smoothing)
        return losses if weights is None else losses * tf.linalg.matvec(target, weights)

    return loss
