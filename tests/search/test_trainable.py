from pathlib import Path

from imgcls_ray.search.trainable import TrialContext, TrialTrainable


def kept(accuracies: list[float], pictures: int) -> list[bool]:
    trial = TrialTrainable.__new__(TrialTrainable)
    trial._context = TrialContext(Path(), 0, {}, 1, 1, 0, pictures)
    trial._take({"number": 0, "settings": {}})
    return [trial._is_kept(accuracy) for accuracy in accuracies]


def test_a_later_epoch_is_kept_unless_it_is_worse_than_the_best_by_more_than_chance() -> None:
    # One standard error of 0.9 is 0.095 with 10 pictures and 0.0095 with 1,000.
    assert kept([0.5, 0.9, 0.85, 0.7], 10) == [True, True, True, False]
    assert kept([0.5, 0.9, 0.85, 0.7], 1000) == [True, True, False, False]


def test_accuracy_can_not_creep_down() -> None:
    assert kept([0.9, 0.89, 0.88, 0.87], 500) == [True, True, False, False]


def test_an_epoch_with_nothing_right_is_kept_while_none_was_better() -> None:
    assert kept([0.0, 0.0], 10) == [True, True]
