"""Curves and doubts against scikit-learn, and against what can be counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from imgcls_ray.evaluation.curves import is_sure, mean_curve, operating, precision_recall
from imgcls_ray.evaluation.doubts import doubtful
from imgcls_ray.inference.calibration import Calibration

NAMES = ("a", "b")


@pytest.mark.parametrize("digits", [2, 6])
def test_precision_and_recall_are_those_of_scikit_learn(digits: int) -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(300) < 0.3
    scores = np.round(0.3 * positive + generator.random(300), digits)  # two digits: many are equal
    found = precision_recall(scores, positive)
    assert found
    precision, recall, thresholds = precision_recall_curve(positive, scores)
    np.testing.assert_allclose(found.recall, recall[:-1][::-1])
    np.testing.assert_allclose(found.precision, precision[:-1][::-1])
    np.testing.assert_allclose(found.threshold, thresholds[::-1])
    assert found.average_precision == pytest.approx(average_precision_score(positive, scores))
    thinned = found.thinned(20)
    assert len(thinned) <= 20
    assert thinned[-1][0] == 1.0
    rows = set(zip(found.recall.tolist(), found.precision.tolist(), found.threshold.tolist(), strict=True))
    assert set(thinned) <= rows


def test_without_a_picture_of_the_class_there_is_no_curve() -> None:
    assert precision_recall(np.array([0.1, 0.9]), np.zeros(2, bool)) is None


def test_the_mean_curve_has_the_best_precision_at_each_recall() -> None:
    # Sorted: right, wrong, right, right. At a recall above a third the best precision is three of four.
    one = precision_recall(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]))
    perfect = precision_recall(np.array([0.9, 0.1]), np.array([True, False]))
    assert one
    assert perfect
    curve = dict(mean_curve([one.summary(20), perfect.summary(20)]))
    assert curve[0.0] == 1
    assert curve[0.3] == 1
    assert curve[0.5] == pytest.approx((0.75 + 1) / 2)
    assert curve[1.0] == pytest.approx((0.75 + 1) / 2)


def test_the_operating_point_is_counted_by_the_thresholds_of_the_classes() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.45, 0.55]])
    labels = np.array([0, 1, 1, 0])
    calibration = Calibration(threshold=0.8, class_thresholds={"b": 0.58}, pictures=10)
    assert is_sure(probabilities, NAMES, calibration).tolist() == [True, False, True, False]
    found = operating(probabilities, labels, NAMES, calibration)
    assert (found.sure, found.unsure, found.coverage) == (2, 2, 0.5)
    assert (found.accuracy, found.unsure_accuracy) == (1.0, 0.0)
    nothing = operating(probabilities, labels, NAMES, Calibration(threshold=2.0))
    assert (nothing.coverage, nothing.accuracy, nothing.unsure_accuracy) == (0.0, None, 0.5)


def test_a_label_is_doubted_where_the_model_is_as_sure_as_it_is_of_that_class() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    shares = np.clip(generator.normal(0.95, 0.02, 100), 0.9, 0.99)
    probabilities = np.stack([np.where(labels == 0, shares, 1 - shares), np.where(labels == 0, 1 - shares, shares)], 1)
    labels[[3, 70]] = 1, 0  # two labels are changed
    probabilities[3], probabilities[70], probabilities[5] = (0.99, 0.01), (0.02, 0.98), (0.15, 0.85)
    assert doubtful(probabilities, labels).tolist() == [3, 70]


def test_an_answer_below_what_its_class_has_on_average_is_no_doubt() -> None:
    labels = np.array([0, 1, 1, 1])
    probabilities = np.array([[0.08, 0.92], [0.02, 0.98], [0.01, 0.99], [0.02, 0.98]])
    assert doubtful(probabilities, labels).tolist() == []
