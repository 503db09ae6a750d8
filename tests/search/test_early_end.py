"""A trial whose own settings end it early is as complete as can be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.trainable import TrialContext, TrialTrainable


class Epochs:
    """A runner that has these figures to tell."""

    def __init__(self, *losses: float) -> None:
        self._losses = list(losses)
        self._epoch = 0

    def start_trial(self, job: object) -> None:
        pass

    def train_epoch(self) -> dict[str, float]:
        loss, self._epoch = self._losses[self._epoch], self._epoch + 1
        stale = self._epoch - 1 - self._losses.index(min(self._losses[: self._epoch]))
        return {"loss": loss, "accuracy": 0.3, "val_loss": loss, "val_accuracy": 0.5, "stale_epochs": stale}

    def save_weights(self, path: Path) -> None:
        pass

    save = save_weights


def results(folder: Path, runner: Epochs, **settings: Any) -> list[dict[str, Any]]:
    trial = TrialTrainable.__new__(TrialTrainable)
    data: Any = {("cnn", "native"): SimpleNamespace()}
    trial._context = TrialContext(folder, 0, data, 1, 1, 0, 100)
    trial._runner = runner
    trial._take({"number": 0, "settings": TrialSettings(epochs=5, **settings).model_dump(mode="json")})
    steps = [trial.step()]
    while not steps[-1]["done"]:
        steps.append(trial.step())
    return steps


def test_it_stops_once_it_waited_long_enough(tmp_path: Path) -> None:
    steps = results(tmp_path, Epochs(0.9, 0.5, 0.6, 0.6, 0.6), early_stopping=2)
    assert len(steps) == 4
    assert steps[-1]["ended"] == "no better val_loss for 2 epochs"
    assert "reason" not in steps[-1], "it did not fail"


def test_it_gives_up_after_the_first_epoch(tmp_path: Path) -> None:
    (step,) = results(tmp_path, Epochs(0.9), min_accuracy=0.4)
    assert "below 0.4" in step["ended"]


@pytest.mark.parametrize("settings", [{}, {"early_stopping": 4, "min_accuracy": 0.3}])
def test_else_it_goes_to_its_end(settings: dict[str, Any], tmp_path: Path) -> None:
    steps = results(tmp_path, Epochs(0.5, 0.6, 0.6, 0.6, 0.6), **settings)
    assert len(steps) == 5
    assert "ended" not in steps[-1]
