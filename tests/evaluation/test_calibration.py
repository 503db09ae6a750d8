"""Temperatures that are known, and thresholds counted by hand."""

import json

import numpy as np
import pytest

from imgcls_ray.errors import DataError
from imgcls_ray.evaluation.calibration import calibrate, fit_temperature
from imgcls_ray.evaluation.reliability import (
    coverage,
    debiased_error,
    error_by_chance,
    expected_calibration_error,
    reliability,
)
from imgcls_ray.inference.calibration import Calibration

NAMES = ("a", "b", "c", "d")


def _answers(temperature: float, pictures: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network that is `temperature` times too sure, and labels drawn from the true ones."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (pictures, len(NAMES)))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (rng.random(pictures)[:, None] > true.cumsum(1)).sum(1).clip(0, len(NAMES) - 1)
    sure = np.exp(logits * temperature)
    return (sure / sure.sum(1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_network_that_is_too_sure_is_found(temperature):
    probabilities, labels = _answers(temperature)
    assert fit_temperature(probabilities, labels) == pytest.approx(temperature, rel=0.05)


def test_after_calibration_nine_of_ten_answers_of_ninety_percent_are_right():
    probabilities, labels = _answers(2.5)
    after = calibrate(probabilities, labels, NAMES).apply(probabilities)
    assert expected_calibration_error(reliability(probabilities, labels)) > 0.1
    assert expected_calibration_error(reliability(after, labels)) < 0.02
    sure = after.max(1) > 0.9
    assert (after.argmax(1) == labels)[sure].mean() == pytest.approx(after.max(1)[sure].mean(), abs=0.01)


def test_few_pictures_that_contradict_each_other_change_nothing():
    probabilities, labels = _answers(1.0, 6)
    assert calibrate(probabilities, labels, NAMES).temperature == 1


@pytest.mark.parametrize("heat", [0.3, 1.0])
@pytest.mark.parametrize("pictures", [60, 2000])
def test_where_all_answers_are_right_probabilities_stay_below_one(pictures, heat):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, len(NAMES), pictures)
    powers = np.exp(heat * (rng.normal(0, 1.5, (pictures, len(NAMES))) + 14 * np.eye(len(NAMES))[labels]))
    probabilities = powers / powers.sum(1, keepdims=True)
    found = calibrate(probabilities, labels, NAMES)
    doubt = 1 - found.apply(probabilities).max(1).mean()
    assert (probabilities.argmax(1) == labels).all()
    # About what one mistake in n + 2 is, and never nothing.
    assert 0.3 / pictures < doubt < 1.5 / pictures


def test_the_order_of_classes_stays_and_rows_add_up_to_one():
    probabilities, labels = _answers(2.5, 500)
    after = calibrate(probabilities, labels, NAMES).apply(probabilities)
    assert after.dtype == np.float32
    np.testing.assert_array_equal(after.argsort(1), probabilities.argsort(1))
    np.testing.assert_allclose(after.sum(1), 1, atol=1e-6)


def test_what_is_not_fitted_changes_nothing():
    probabilities, _ = _answers(1.0, 10)
    assert Calibration().apply(probabilities) is probabilities


def test_a_probability_of_zero_is_no_trouble():
    probabilities = np.array([[1, 0], [0, 1], [1, 0]] * 10, np.float32)
    found = calibrate(probabilities, np.array([0, 1, 1] * 10), ("a", "b"))
    assert np.isfinite(found.apply(probabilities)).all()
    assert found.temperature > 1


def test_the_reliability_curve_counts_each_picture_once():
    probabilities, labels = _answers(1.0, 999)
    curve = reliability(probabilities, labels)
    assert sum(part.pictures for part in curve) == 999
    assert all(part.low < part.confidence <= part.high + 1e-6 for part in curve if part.pictures)
    # A probability on the border of two bins belongs to the lower one.
    assert reliability(np.array([[0.5, 0.5]]), np.array([0]), 2)[0].pictures == 1


def test_the_error_is_the_one_counted_by_hand():
    # Two answers of 0.9, one right; two of 0.6, both right: (|0.9 - 0.5| + |0.6 - 1|) / 2.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    error = expected_calibration_error(reliability(probabilities, np.array([0, 1, 0, 1])))
    assert error == pytest.approx(0.4)


def test_the_threshold_is_the_lowest_that_keeps_the_risk():
    highest = np.linspace(0.99, 0.6, 80)
    probabilities = np.stack([highest, 1 - highest], 1)
    labels = np.where(np.arange(80) < 60, 0, 1)  # the twenty least sure answers are wrong
    found = calibrate(probabilities, labels, ("a", "b"), risk=0.25)
    answers = found.apply(probabilities).max(1)
    given = answers >= found.threshold
    assert given.sum() == 80  # 20 of 80 are wrong
    strict = calibrate(probabilities, labels, ("a", "b"), risk=0.1)
    given = strict.apply(probabilities).max(1) >= strict.threshold
    assert given.sum() == 66  # 6 of 66 are wrong, 7 of 67 would be too many
    assert strict.class_thresholds == {"a": pytest.approx(strict.threshold)}
    assert strict.threshold_of("b") == strict.threshold
    few = calibrate(probabilities[:79:2], labels[:79:2], ("a", "b"), risk=0.1)  # four wrong ones would be accepted
    assert few.class_thresholds == {}


def test_classes_without_a_threshold_of_their_own_keep_the_risk_among_themselves():
    # 190 right answers of a class with its own; 20 of others, of which the ten least sure are wrong.
    highest = np.concatenate([np.full(190, 0.99), np.linspace(0.95, 0.6, 20)])
    answered = np.array([0] * 190 + [1, 2] * 10)
    probabilities = np.tile((1 - highest) / 2, (3, 1)).T
    probabilities[np.arange(210), answered] = highest
    labels = np.where(np.arange(210) < 200, answered, 0)
    found = calibrate(probabilities, labels, ("a", "b", "c"))
    assert list(found.class_thresholds) == ["a"]
    given = (found.apply(probabilities).max(1) >= found.threshold)[190:]
    assert given.sum() == 10


def test_where_no_answer_is_right_none_is_given():
    found = calibrate(np.array([[0.9, 0.1]] * 3), np.array([1, 1, 1]), ("a", "b"))
    assert found.threshold > 1


def test_coverage_ends_with_the_accuracy_of_all():
    probabilities, labels = _answers(1.0, 300)
    curve = coverage(probabilities, labels)
    shares = [share for _, share, _ in curve]
    assert shares == sorted(shares)
    assert curve[-1][1:] == (1.0, pytest.approx((probabilities.argmax(1) == labels).mean()))
    # Equal probabilities are answered together.
    assert len(coverage(np.full((5, 2), 0.5), np.zeros(5, int))) == 1


def test_json_there_and_back():
    found = Calibration(1.5, 0.1, 0.7, {"a": 0.6}, 50)
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": float("nan")},
        {"threshold": -1},
        {"risk": "x"},
        {"class_thresholds": []},
        {"more": 1},
    ],
)
def test_what_is_no_calibration_is_refused(change):
    with pytest.raises(ValueError, match="a calibration has the keys"):
        Calibration.from_json(Calibration().to_json() | change)


def test_no_picture_is_refused():
    with pytest.raises(DataError, match="at least one picture"):
        calibrate(np.zeros((0, 2)), np.zeros(0, int), ("a", "b"))


def test_exactly_right_probabilities_have_an_error_by_chance_and_none_without_it():
    probabilities, _ = _answers(1.0, pictures=300)
    # Other labels from the same probabilities: the error is by chance alone, each time another one.
    rng = np.random.default_rng(7)
    errors, distances = [], []
    for _ in range(200):
        drawn = (rng.random(300)[:, None] > probabilities.cumsum(1)).sum(1).clip(0, len(NAMES) - 1)
        errors.append(expected_calibration_error(reliability(probabilities, drawn)))
        distances.append(debiased_error(probabilities, drawn))
    assert error_by_chance(probabilities) == pytest.approx(np.mean(errors), abs=0.005)
    assert error_by_chance(probabilities) > 0.03
    assert np.median(distances) < 0.02


def test_a_network_that_is_too_sure_is_so_without_chance_too():
    many, few = _answers(2.5), _answers(2.5, pictures=600)
    assert debiased_error(*many) >= expected_calibration_error(reliability(*many))
    assert debiased_error(*few) == pytest.approx(debiased_error(*many), abs=0.03)


def test_the_distance_without_chance_counted_by_hand():
    # Two bins of three: 0.6 against 1/3, of whose square 1/3 x 2/3 / 2 = 1/9 is chance's, and 0.9 against 1.
    probabilities = np.array([[0.6, 0.4]] * 3 + [[0.9, 0.1]] * 3)
    assert debiased_error(probabilities, np.array([0, 1, 1, 0, 0, 0]), bins=2) == 0
    # All right: no bin has any chance in it.
    found = debiased_error(probabilities, np.zeros(6, int), bins=2)
    assert found == pytest.approx(np.sqrt((0.4**2 + 0.1**2) / 2))
    assert debiased_error(probabilities[:3], np.zeros(3, int)) == 0
