from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from imgcls_ray.config import TrialSettings
from imgcls_ray.training.loss import build_loss

TARGET = tf.one_hot([0, 2, 1, 1], 3)
ANSWERS = tf.constant([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])


def losses(weights: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    values: np.ndarray = build_loss(TrialSettings(**settings), weights)(TARGET, ANSWERS).numpy()
    return values


def test_cross_entropy_is_the_logarithm_of_the_right_answer() -> None:
    assert losses() == pytest.approx(-np.log([0.7, 0.8, 0.3, 1.0]), abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_without_gamma_is_cross_entropy(smoothing: float) -> None:
    plain = losses(label_smoothing=smoothing)
    assert losses(loss="focal", focal_gamma=0.0, label_smoothing=smoothing) == pytest.approx(plain, abs=1e-6)


def test_focal_counts_sure_answers_less() -> None:
    right = np.array([0.7, 0.8, 0.3])
    assert losses(loss="focal", focal_gamma=2.0)[:3] == pytest.approx((1 - right) ** 2 * -np.log(right), rel=1e-5)


def test_weights_multiply_the_loss_of_each_sample_and_are_mixed_with_its_target() -> None:
    weights = np.array([1.0, 2.0, 4.0], np.float32)
    assert losses(weights) == pytest.approx(losses() * [1, 4, 2, 2])
    half = tf.constant([[0.5, 0.0, 0.5]])
    loss = build_loss(TrialSettings(), weights)(half, tf.constant([[0.25, 0.5, 0.25]])).numpy()
    assert loss == pytest.approx([2.5 * np.log(4)])
