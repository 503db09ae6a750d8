"""McNemar's test against scipy's binomial one; the bootstrap of the calibration error against the plain figure."""

import numpy as np
import pytest
from scipy.stats import binomtest

from imgcls_ray.evaluation.bootstrap import TIMES, drawn
from imgcls_ray.evaluation.mcnemar import discordance
from imgcls_ray.evaluation.reliability import expected_calibration_error, reliability


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (7, 3), (5, 5), (900, 1100)])
def test_the_exact_test_is_the_binomial_one(first: int, second: int) -> None:
    labels = np.zeros(first + second + 10, int)
    right, wrong = [0.9, 0.1], [0.1, 0.9]
    one = np.array([right] * first + [wrong] * second + [right] * 10)
    other = np.array([wrong] * first + [right] * second + [right] * 10)
    found = discordance(one, other, labels)
    assert (found.first, found.second) == (first, second)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p == pytest.approx(expected)


def test_the_calibration_error_of_all_pictures_is_the_plain_one() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 200)
    labels = generator.integers(4, size=200)
    values = drawn([probabilities], labels, "calibration_error")
    assert values.shape == (1 + TIMES, 1)
    assert values[0, 0] == pytest.approx(expected_calibration_error(reliability(probabilities, labels)))
    assert values[1:].std() > 0
