import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score, f1_score

from imgcls_ray.training.scores import balanced_accuracy, count_classes, f1_macro


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_sums_over_batches_give_what_scikit_learn_gives() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 90)  # class 4 has no sample
    predicted = np.where(rng.random(90) < 0.6, labels, rng.integers(0, 5, 90))
    predicted[predicted == 3] = 0  # class 3 is never answered
    counts = np.zeros((3, 5))
    for part in np.array_split(np.arange(90), 4):
        counts += count_classes(tf.constant(predicted[part]), tf.constant(labels[part]), 5).numpy().reshape(3, 5)
    expected = f1_score(labels, predicted, labels=range(4), average="macro", zero_division=0)
    assert f1_macro(counts) == pytest.approx(expected)
    assert balanced_accuracy(counts) == pytest.approx(balanced_accuracy_score(labels, predicted))
