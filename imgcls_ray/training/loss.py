"""The loss of a sample."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.config import TrialSettings

LossFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From targets (n, K) that sum to 1 and probabilities (n, K) to losses (n,), all float32."""


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
