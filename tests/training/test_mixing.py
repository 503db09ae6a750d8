from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from imgcls_ray.config import TrialSettings
from imgcls_ray.training.mixing import Mixing

SHAPE = (12, 10, 3)


def mixing(shape: tuple[int, ...] = SHAPE, **settings: Any) -> Mixing:
    return Mixing(TrialSettings(**settings), shape)


def rows(mixing: Mixing, steps: int = 200) -> np.ndarray:
    return mixing.draw(steps, np.random.default_rng(0))


def test_nothing_is_mixed_unless_asked_and_features_are_not_cut() -> None:
    assert not mixing().is_on
    assert not mixing((16,), cutmix=1.0).is_on
    assert mixing((16,), mixup=1.0).is_on


@pytest.mark.parametrize("shape", [(16,), SHAPE])
def test_mixup_keeps_the_sums_and_the_label_likeliest(shape: tuple[int, ...]) -> None:
    x = tf.random.stateless_uniform((6, *shape), [1, 2])
    target = tf.one_hot([0, 1, 2, 0, 1, 2], 3)
    mixer = mixing(shape, mixup=0.4)
    for row in rows(mixer, 5):
        mixed, targets = (value.numpy() for value in mixer.apply(x, target, tf.constant(row)))
        assert mixed.sum(axis=0) == pytest.approx(x.numpy().sum(axis=0), rel=1e-5)
        assert targets.sum(axis=1) == pytest.approx(1)
        assert targets.sum(axis=0) == pytest.approx([2, 2, 2])
        assert 0.5 <= row[0] == row[1] <= 1
        assert mixed[0] == pytest.approx(row[0] * x[0].numpy() + (1 - row[0]) * x[5].numpy(), rel=1e-5)


def test_cutmix_takes_a_rectangle_of_the_partner_and_its_share_of_the_target() -> None:
    x = tf.ones((2, *SHAPE)) * tf.constant([0.0, 1.0])[:, None, None, None]
    mixer = mixing(cutmix=1.0)
    drawn = rows(mixer)
    for row in drawn[:20]:
        mixed, targets = (value.numpy() for value in mixer.apply(x, tf.eye(2), tf.constant(row)))
        assert set(np.unique(mixed)) <= {0.0, 1.0}
        assert mixed[0].mean() == pytest.approx(1 - row[1], abs=1e-6)
        assert targets[0] == pytest.approx([row[1], 1 - row[1]])
    assert (drawn[:, 1] >= 0.5).all()
    assert drawn[:, 1].std() > 0.05
    assert {0.0, 12.0} <= set(drawn[:, 2:4].ravel()), "rectangles reach the edges"


def test_both_take_turns() -> None:
    drawn = rows(mixing(mixup=1.0, cutmix=1.0))
    is_cut = drawn[:, 0] == 1
    assert 60 < is_cut.sum() < 140
    assert (drawn[~is_cut, 2:] == 0).all()
    assert (drawn[~is_cut, 0] == drawn[~is_cut, 1]).all()
