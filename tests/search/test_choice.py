import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.choice import choose
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.objective import ACCURACY


def trial(number: int, accuracy: float, loss: float = 1.0) -> TrialOutcome:
    metrics = {"val_accuracy": accuracy, "val_loss": loss}
    return TrialOutcome(number, "complete", accuracy, TrialSettings(), 1, 1.0, metrics)


@pytest.mark.parametrize(
    ("accuracy", "pictures", "number"),
    [
        (0.90, 32, 0),  # two pictures more right than 0.84 of 32: chance
        (0.92, 32, 3),
        (0.90, 1000, 3),
        (0.84, 1000, 0),
    ],
)
def test_the_defaults_stay_unless_they_are_beaten_by_more_than_chance(
    accuracy: float, pictures: int, number: int
) -> None:
    trials = [trial(0, 0.84), trial(1, 0.5), trial(3, accuracy)]
    best, noise = choose(trials, trials[0], pictures)
    assert best.number == number
    assert noise == ACCURACY.noise(0.84, pictures)


def test_without_defaults_the_leader_is_used_and_of_equal_ones_that_with_the_lower_loss() -> None:
    trials = [trial(1, 0.5, 0.9), trial(2, 0.5, 0.7), trial(3, 0.5, 0.7)]
    assert choose(trials, None, 10) == (trials[1], 0.0)
    outcome = StudyOutcome("s", (*trials, TrialOutcome(4, "failed", None, TrialSettings(), 0, 1.0)), trials[1], None, 1)
    assert outcome.leader == trials[1]


def test_the_standard_error_is_the_binomial_one() -> None:
    assert ACCURACY.noise(0.5, 100) == pytest.approx(0.05)
    assert ACCURACY.noise(1.0, 100) == 0
