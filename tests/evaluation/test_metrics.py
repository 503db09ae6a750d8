"""The figures against ones worked out by hand."""

import json
import subprocess
import sys

import numpy as np
import pytest

from imgcls_ray.errors import DataError, ModelError
from imgcls_ray.evaluation.metrics import score

NAMES = ("cat", "dog", "owl")
# Right, right, wrong (dog taken for cat), right.
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]], np.float32)
LABELS = np.array([0, 0, 1, 1])


def test_figures_are_those_worked_out_by_hand() -> None:
    metrics = score(PROBABILITIES, LABELS, NAMES)
    assert metrics.accuracy == 0.75
    assert metrics.images == 4
    assert metrics.loss == pytest.approx(-np.log([0.8, 0.6, 0.4, 0.7]).mean(), abs=1e-6)
    assert metrics.per_class["cat"].precision == pytest.approx(2 / 3)
    assert metrics.per_class["cat"].recall == 1.0
    assert metrics.per_class["dog"].f1 == pytest.approx(2 / 3)
    assert metrics.per_class["dog"].support == 2
    assert metrics.confusion == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert metrics.top_k == {2: 1.0}
    assert metrics.matthews == pytest.approx(4 / np.sqrt(48))
    assert metrics.auc_macro == 1
    assert metrics.calibration_error == pytest.approx((0.2 + 0.4 + 0.5 + 0.3) / 4)


def test_of_equal_probabilities_the_label_is_counted_as_the_higher_one() -> None:
    metrics = score(np.full((2, 4), 0.25), np.array([0, 3]), ("a", "b", "c", "d"))
    assert metrics.top_k == {2: 1.0, 3: 1.0}
    assert metrics.auc_macro == 0.5


def test_one_class_alone_has_no_area() -> None:
    metrics = score(PROBABILITIES[:2], LABELS[:2], NAMES)
    assert metrics.auc_macro is None
    assert metrics.per_class["cat"].auc is None


def test_macro_means_leave_out_classes_without_pictures() -> None:
    metrics = score(PROBABILITIES, LABELS, NAMES)
    assert metrics.per_class["owl"].support == 0
    assert metrics.per_class["owl"].f1 == 0
    assert metrics.f1_macro == pytest.approx((0.8 + 2 / 3) / 2)
    assert metrics.precision_macro == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.recall_macro == pytest.approx(0.75)


def test_a_class_that_is_never_predicted_has_precision_zero() -> None:
    metrics = score(np.array([[1.0, 0.0], [1.0, 0.0]], np.float32), np.array([0, 1]), ("a", "b"))
    assert metrics.per_class["b"].precision == 0
    assert metrics.f1_macro == pytest.approx(1 / 3)


def test_one_sure_mistake_costs_sixteen_not_infinity() -> None:
    metrics = score(np.array([[1.0, 0.0]], np.float32), np.array([1]), ("a", "b"))
    assert metrics.loss == pytest.approx(-np.log(1e-7))


def test_figures_become_plain_json() -> None:
    document = json.loads(json.dumps(score(PROBABILITIES, LABELS, NAMES).to_json(), allow_nan=False))
    assert document["per_class"]["dog"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
        "auc": 1.0,
    }


def test_no_picture_is_refused() -> None:
    with pytest.raises(DataError, match="at least one picture"):
        score(np.zeros((0, 3), np.float32), np.zeros(0, int), NAMES)


def test_answers_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match="not a number"):
        score(np.full((1, 3), np.nan, np.float32), np.array([0]), NAMES)


@pytest.mark.parametrize(
    ("probabilities", "labels"), [(PROBABILITIES[:3], LABELS), (PROBABILITIES[:, :2], LABELS), (PROBABILITIES, -LABELS)]
)
def test_shapes_that_do_not_fit_are_refused(probabilities: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="received"):
        score(probabilities, labels, NAMES)


def test_import_loads_no_scikit_learn() -> None:
    code = "import sys, imgcls_ray.evaluation.metrics; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
