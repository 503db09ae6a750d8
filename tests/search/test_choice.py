import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.choice import choose
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.objective import ACCURACY, Objective


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


def scored(number: int, metric: str, value: float, loss: float = 1.0) -> TrialOutcome:
    metrics = {"val_loss": loss, metric: value}
    return TrialOutcome(number, "complete", value, TrialSettings(), 1, 1.0, metrics)


@pytest.mark.parametrize("metric", ["val_f1_macro", "val_balanced_accuracy"])
def test_a_macro_average_is_given_the_noise_of_an_accuracy(metric: str) -> None:
    trials = [scored(0, metric, 0.84), scored(1, metric, 0.86), scored(2, metric, 0.5)]
    assert choose(trials, trials[0], 32, Objective(metric))[0].number == 0
    assert choose(trials, trials[0], 1000, Objective(metric)) == (trials[1], ACCURACY.noise(0.84, 1000))


def test_the_lowest_loss_is_best_by_however_little() -> None:
    trials = [scored(number, "val_loss", loss) for number, loss in enumerate((0.5, 0.9, 0.499))]
    assert choose(trials, trials[0], 10, Objective("val_loss")) == (trials[2], 0.0)
    assert choose(trials[:2], trials[0], 10, Objective("val_loss"))[0].number == 0
    outcome = StudyOutcome("s", tuple(trials), trials[2], trials[0], 1, objective=Objective("val_loss"))
    assert outcome.leader == trials[2]


def test_the_standard_error_is_the_binomial_one() -> None:
    assert ACCURACY.noise(0.5, 100) == pytest.approx(0.05)
    assert ACCURACY.noise(1.0, 100) == 0
