"""The bootstrap over pictures: right on all of them, as wide as theory says, paired."""

import math

import numpy as np
import pytest

from imgcls_ray.evaluation.bootstrap import TIMES, Figure, drawn, interval
from imgcls_ray.evaluation.certainty import Certainty, certainty
from imgcls_ray.evaluation.metrics import score
from imgcls_ray.training.scores import balanced_accuracy

CLASSES = 3


def answers(right: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities (n, K) that give the right class where `right` says so, and the next one elsewhere."""
    given = np.where(right, labels, (labels + 1) % CLASSES)
    shares = np.random.default_rng(seed).uniform(0, 0.3, (len(labels), CLASSES))
    shares[np.arange(len(labels)), given] = 1
    return shares / shares.sum(1, keepdims=True)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(CLASSES, size=400)


@pytest.fixture
def right(labels: np.ndarray) -> np.ndarray:
    """Four of five."""
    return np.arange(len(labels)) % 5 > 0


def test_the_first_row_is_on_all_pictures(labels: np.ndarray, right: np.ndarray) -> None:
    one = answers(right, labels)
    metrics = score(one, labels, ("a", "b", "c"))
    counts = np.stack([np.bincount(x, minlength=CLASSES) for x in (labels[right], one.argmax(1), labels)])
    expected: dict[Figure, float] = {
        "accuracy": metrics.accuracy,
        "loss": metrics.loss,
        "f1_macro": metrics.f1_macro,
        "balanced_accuracy": balanced_accuracy(counts),
    }
    for figure, value in expected.items():
        found = drawn([one], labels, figure)
        assert found.shape == (1 + TIMES, 1)
        assert found[0, 0] == pytest.approx(value)
        assert found[1:].mean() == pytest.approx(value, abs=0.01)


def test_an_interval_is_as_wide_as_the_binomial_one(labels: np.ndarray, right: np.ndarray) -> None:
    found = interval(drawn([answers(right, labels)], labels, "accuracy")[:, 0])
    assert found.value == pytest.approx(0.8)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * math.sqrt(0.8 * 0.2 / 400), rel=0.1)


def test_pictures_that_are_hard_for_both_cancel_out(labels: np.ndarray, right: np.ndarray) -> None:
    better = right.copy()
    better[np.flatnonzero(~right)[:20]] = True  # the same mistakes but for 20 of 400
    values = drawn([answers(right, labels), answers(better, labels), answers(right, labels, 5)], labels, "accuracy")
    gap, none = interval(values[:, 1] - values[:, 0]), interval(values[:, 2] - values[:, 0])
    assert gap.value == pytest.approx(0.05)
    assert 0.03 < gap.low < gap.high < 0.075  # by itself each of the two is known to 0.04 only
    assert (none.low, none.high) == (0, 0)


def certain(labels: np.ndarray, more: int, figure: Figure = "accuracy") -> Certainty:
    """Of trial 4, that has `more` right answers than the defaults and else the same."""
    right = np.arange(len(labels)) % 5 > 0
    better = right.copy()
    better[np.flatnonzero(~right)[:more]] = True
    return certainty(figure, [4, 0], {0: answers(right, labels), 4: answers(better, labels)}, labels)


def test_the_leader_is_better_only_beyond_the_noise(labels: np.ndarray) -> None:
    assert certain(labels, 20).better is True
    assert certain(labels, 20).sentence.startswith(
        "Trial 4 is better than the defaults by more than the noise: +0.0500"
    )
    assert certain(labels, 20, "loss").better is True  # less is more
    chance = certain(labels, 1)
    assert chance.better is False
    assert "nothing better than the defaults beyond the noise" in chance.sentence
    assert chance.trials[0].gap
    assert chance.trials[0].gap.low == 0


def test_without_a_gap_the_sentence_says_so(labels: np.ndarray, right: np.ndarray) -> None:
    one = answers(right, labels)
    first = certainty("accuracy", [0, 2], {0: one, 2: one}, labels)
    assert (first.better, first.defaults) == (False, first.trials[0])
    assert first.sentence == "The search found nothing better than the defaults on 400 validation pictures."
    assert "one trial" in certainty("accuracy", [0], {0: one}, labels).sentence
    without = certainty("accuracy", [3], {3: one}, labels)
    assert (without.better, without.defaults) == (None, None)
    assert "The defaults have no score" in without.sentence


def test_it_goes_through_json(labels: np.ndarray) -> None:
    found = certain(labels, 20)
    document = found.to_json()
    assert document["sentence"] == found.sentence
    assert Certainty.from_json(document) == found
