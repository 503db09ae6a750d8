"""A trial whose gang loses a worker goes on from its checkpoint."""

from pathlib import Path

import pytest

from imgcls_ray.config import Size
from imgcls_ray.errors import TrainingError
from imgcls_ray.search.trainable import LIVES, TrialContext, TrialTrainable
from imgcls_ray.training.job import TrialData, TrialJob
from imgcls_ray.training.runner import Runner


class Fragile(Runner):
    """Reports 0.1, 0.2 ... and loses a worker whenever `dies` says so."""

    def __init__(self, dies: list[int], message: str) -> None:
        self.dies, self.message = dies, message
        self.epoch = 0
        self.starts = 0

    def start_trial(self, job: TrialJob) -> None:
        self.epoch, self.starts = 0, self.starts + 1

    def train_epoch(self) -> dict[str, float]:
        self.epoch += 1
        if self.dies and self.epoch == self.dies[0]:
            self.dies.pop(0)
            raise TrainingError(self.message)
        value = 0.1 * self.epoch
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        return dict.fromkeys(names, value)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self.epoch))

    def load(self, path: Path) -> None:
        self.epoch = int(path.read_text())

    def save_weights(self, path: Path) -> None:
        pass

    def close(self) -> None:
        pass


def trial(folder: Path, dies: list[int], message: str = "worker 1: its process died; more") -> TrialTrainable:
    trainable = TrialTrainable.__new__(TrialTrainable)
    data = {("cnn", "native"): TrialData(folder, Size(8, 8), 3, 2)}
    trainable._context = TrialContext(folder, 0, data, 2, 1, 0, 100, checkpoint_seconds=0)
    trainable._runner = Fragile(dies, message)
    trainable._take({"number": 0, "settings": {"epochs": 4}})
    return trainable


def test_it_goes_on_from_its_last_epoch_and_reports_that_once_more(tmp_path: Path) -> None:
    trainable = trial(tmp_path, dies=[3])
    results = [trainable.step() for _ in range(5)]
    assert [result["epoch"] for result in results] == [1, 2, 2, 3, 4]
    assert [result["done"] for result in results] == [False, False, False, False, True]
    assert results[2]["best"]["val_accuracy"] == pytest.approx(0.2)
    assert trainable._runner.starts == 2


def test_after_so_many_it_has_failed(tmp_path: Path) -> None:
    trainable = trial(tmp_path, dies=[1] * (LIVES + 1))
    result = trainable.step()
    assert result["done"]
    assert "its process died" in result["reason"]


def test_what_went_wrong_inside_a_worker_is_not_tried_again(tmp_path: Path) -> None:
    result = trial(tmp_path, dies=[1], message="worker 1: ValueError: no such thing").step()
    assert "no such thing" in result["reason"]
