"""Intervals of all figures: right in the middle, and as wide as drawing samples by hand finds them."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from imgcls_ray.evaluation import spread as module
from imgcls_ray.evaluation.bootstrap import drawn, interval
from imgcls_ray.evaluation.metrics import score
from imgcls_ray.evaluation.spread import spread

CLASSES = 4


@pytest.fixture(scope="module")
def answers() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(CLASSES, size=250)
    scores = generator.normal(size=(250, CLASSES))
    scores[np.arange(250), labels] += 1.6
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True), labels


def test_the_values_are_those_of_the_metrics(answers: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = answers
    metrics = score(probabilities, labels, ("a", "b", "c", "d"))
    found = spread(probabilities, labels)
    for name in ("accuracy", "loss", "f1_macro", "precision_macro", "recall_macro", "matthews", "auc_macro"):
        assert found.figures[name].value == pytest.approx(getattr(metrics, name), abs=1e-6)
        assert found.figures[name].low < found.figures[name].value < found.figures[name].high
    assert found.figures["balanced_accuracy"] == found.figures["recall_macro"]
    assert {k: found.figures[f"top_{k}"].value for k in (2, 3)} == pytest.approx(metrics.top_k)
    for one, row in zip(found.classes, metrics.per_class.values(), strict=True):
        assert one.precision
        assert one.recall
        assert one.f1
        assert (one.precision.value, one.recall.value, one.f1.value) == pytest.approx(
            (row.precision, row.recall, row.f1)
        )


def test_the_widths_are_those_of_samples_that_are_measured_one_by_one(answers: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = answers
    found = spread(probabilities, labels)
    for figure in ("accuracy", "loss", "f1_macro", "balanced_accuracy"):
        paired = interval(drawn([probabilities], labels, figure)[:, 0])  # type: ignore[arg-type]
        one = found.figures[figure]
        assert (one.low, one.high) == pytest.approx((paired.low, paired.high), abs=0.25 * (one.high - one.low) / 2)
    generator = np.random.default_rng(1)
    matthews, areas = [], []
    for _ in range(300):
        rows = generator.integers(250, size=250)
        matthews.append(matthews_corrcoef(labels[rows], probabilities[rows].argmax(axis=1)))
        areas.append(
            np.mean([roc_auc_score(labels[rows] == place, probabilities[rows, place]) for place in range(CLASSES)])
        )
    for name, column in (("matthews", matthews), ("auc_macro", areas)):
        one = found.figures[name]
        assert (one.high - one.low) / 4 == pytest.approx(np.std(column), rel=0.15)


def test_it_does_not_matter_how_many_samples_are_counted_at_a_time(
    answers: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = spread(*answers)
    monkeypatch.setattr(module, "CELLS", 250 * 100)
    parts = spread(*answers)
    for name, one in whole.figures.items():
        assert (parts.figures[name].low, parts.figures[name].high) == pytest.approx((one.low, one.high), abs=1e-6)


def test_a_class_without_pictures_has_no_figures() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    found = spread(probabilities, np.array([0, 1, 1]))
    assert (found.classes[2].precision, found.classes[2].recall, found.classes[2].f1) == (None, None, None)
    assert found.figures["balanced_accuracy"].value == pytest.approx(0.75)
    alone = spread(probabilities[:1], np.array([0]))
    assert "auc_macro" not in alone.figures
    assert alone.figures["accuracy"].low == alone.figures["accuracy"].high == 1
