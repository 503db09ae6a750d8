import numpy as np
import pytest

from imgcls_ray.data.labels import Labels
from imgcls_ray.errors import SettingsError
from imgcls_ray.training.weighting import class_weights

LABELS = Labels.of(["ant", "bee", "cow"])


def test_balanced_classes_count_the_same_in_all_and_one_in_the_mean() -> None:
    counts = np.array([10, 30, 60])
    weights = class_weights("balanced", LABELS, counts.tolist())
    assert weights * counts == pytest.approx([100 / 3] * 3)
    assert class_weights("balanced", LABELS, [10, 0, 30]) == pytest.approx([2, 0, 2 / 3])


def test_named_classes_count_as_given_and_the_others_one() -> None:
    weights = class_weights("bee=4, cow = 0.5", LABELS, [20, 10, 20])
    assert weights / weights[0] == pytest.approx([1, 4, 0.5])
    assert (weights * [20, 10, 20]).sum() == pytest.approx(50)


def test_an_unknown_class_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="received 'been'; did you mean 'bee'"):
        class_weights("been=2", LABELS, [1, 1, 1])
