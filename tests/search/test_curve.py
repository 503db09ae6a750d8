import pytest

from imgcls_ray.search.curve import Comparison


@pytest.mark.parametrize(
    ("there", "here", "first", "sentence"),
    [
        ({1: 0.5, 2: 0.75}, {1: 0.5, 2: 0.75}, None, "the same curve as in the study"),
        ({1: 0.5}, {1: 0.5, 2: 0.75}, None, "the same values as in the study, in the 1 epoch that both have"),
        ({1: 0.5, 2: 0.75, 3: 1.0}, {1: 0.5, 2: 0.75}, None, "in the 2 epochs that both have"),
        ({1: 0.5, 2: 0.75}, {1: 0.5, 2: 0.7}, 2, "from epoch 2 on: 0.75 there, 0.7 here"),
        ({}, {1: 0.5}, None, "no epoch of the study to compare with"),
    ],
)
def test_it_says_plainly_how_two_curves_compare(
    there: dict[int, float], here: dict[int, float], first: int | None, sentence: str
) -> None:
    curve = Comparison(there, here)
    assert curve.first_difference == first
    assert curve.sentence.endswith(sentence)
    assert curve.to_json()["same"] is (first is None and bool(there))


def test_equal_shares_of_few_pictures_are_not_enough() -> None:
    curve = Comparison({1: 0.5}, {1: 0.5}, {"val_loss": 0.7, "seconds": 1.0}, {"val_loss": 0.6, "seconds": 2.0})
    assert (curve.same, curve.sentence) == (False, "the same values as in the study, but not the same val_loss")
    assert Comparison({1: 0.5}, {1: 0.5}, {"seconds": 1.0}, {"seconds": 2.0}).same


def test_one_bit_is_a_difference() -> None:
    assert Comparison({1: 0.1 + 0.2}, {1: 0.3}).first_difference == 1
