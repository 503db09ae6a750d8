import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.training.patience import Course, early_end


def course(settings: TrialSettings, losses: list[float]) -> Course:
    made = Course(settings)
    for loss in losses:
        made.see({"val_loss": loss, "val_accuracy": 1 - loss})
    return made


def test_a_plateau_reduces_the_rate_once_for_each_patience() -> None:
    settings = TrialSettings(schedule="plateau", plateau_patience=2, plateau_factor=0.5)
    assert course(settings, [0.9, 0.8, 0.8]).rate_scale == 1
    assert course(settings, [0.9, 0.8, 0.8, 0.81]).rate_scale == 0.5
    assert course(settings, [0.9, 0.8, 0.8, 0.81, 0.7, 0.7, 0.7]).rate_scale == 0.25
    assert course(settings, [0.8, 0.79996, 0.79995]).rate_scale == 0.5, "too small a gain"


@pytest.mark.parametrize("metric", ["val_loss", "val_accuracy"])
def test_stale_epochs_are_those_since_the_last_gain(metric: str) -> None:
    settings = TrialSettings(early_stopping=2, early_stopping_metric=metric)  # type: ignore[arg-type]
    assert [course(settings, [0.9, 0.5, 0.6, 0.7][:n]).stale_epochs for n in (1, 2, 3, 4)] == [0, 0, 1, 2]


def test_what_is_off_counts_nothing() -> None:
    off = course(TrialSettings(), [0.5] * 9)
    assert (off.stale_epochs, off.rate_scale) == (0, 1)


def test_it_goes_on_from_its_numbers() -> None:
    settings = TrialSettings(schedule="plateau", plateau_patience=3, early_stopping=4)
    whole, half = course(settings, [0.5, 0.6, 0.6, 0.6, 0.6]), course(settings, [0.5, 0.6, 0.6])
    resumed = Course(settings)
    resumed.restore(half.numbers())
    for _ in range(2):
        resumed.see({"val_loss": 0.6, "val_accuracy": 0.4})
    assert resumed.numbers() == whole.numbers()


def test_a_trial_ends_early_for_one_of_two_reasons() -> None:
    settings = TrialSettings(early_stopping=3, min_accuracy=0.4)
    assert early_end(settings, 1, {"accuracy": 0.4, "stale_epochs": 0}) is None
    assert early_end(settings, 1, {"accuracy": 0.3, "stale_epochs": 0}) == (
        "after one epoch its training accuracy was 0.300, below 0.4"
    )
    assert early_end(settings, 2, {"accuracy": 0.3, "stale_epochs": 2}) is None
    assert early_end(settings, 9, {"accuracy": 0.9, "stale_epochs": 3}) == "no better val_loss for 3 epochs"
    assert early_end(TrialSettings(), 9, {"accuracy": 0.0}) is None
