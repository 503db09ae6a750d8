"""A trial that runs out of memory."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import TrainingError
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.trainable import TrialContext, TrialTrainable, is_out_of_memory


class Tight:
    """A runner with room for so many samples a batch; `at` is the epoch that notices."""

    def __init__(self, room: int, at: int = 1, error: Callable[[], Exception] = MemoryError) -> None:
        self.room, self.at, self.error = room, at, error
        self.started: list[int] = []
        self.epoch = 0

    def start_trial(self, job: Any) -> None:
        self.started.append(job.settings.batch_size)
        self.epoch = 0

    def train_epoch(self) -> dict[str, float]:
        self.epoch += 1
        if self.started[-1] > self.room and self.epoch >= self.at:
            raise self.error()
        return {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5 + self.epoch / 10}

    def save_weights(self, path: Path) -> None:
        pass

    save = save_weights


def steps(folder: Path, runner: Tight, batch_size: int, objective: str = "val_accuracy") -> list[dict[str, Any]]:
    trial = TrialTrainable.__new__(TrialTrainable)
    data: Any = {("cnn", "native"): SimpleNamespace()}
    trial._context = TrialContext(folder, 0, data, 1, 1, 0, 100, Objective(objective))
    trial._runner = runner
    trial._take({"number": 7, "settings": TrialSettings(epochs=3, batch_size=batch_size).model_dump(mode="json")})
    results = [trial.step()]
    while not results[-1]["done"]:
        results.append(trial.step())
    return results


def test_the_batch_is_halved_and_the_trial_starts_again(tmp_path: Path) -> None:
    runner = Tight(room=16)
    results = steps(tmp_path, runner, 32)
    assert runner.started == [32, 16]
    assert [result["epoch"] for result in results] == [1, 2, 3]
    assert all(result["batch_size"] == 16 for result in results)
    assert results[0]["note"] == "out of memory, so the batch was halved to 16"


def test_from_its_first_epoch_also_where_it_had_come_further(tmp_path: Path) -> None:
    results = steps(tmp_path, Tight(room=16, at=3), 32)
    assert [result["epoch"] for result in results] == [1, 2, 1, 2, 3]
    assert ["note" in result for result in results] == [False, False, True, True, True]
    assert results[2]["kept"]


@pytest.mark.parametrize(("objective", "worst"), [("val_accuracy", 0.0), ("val_loss", 10.0)])
def test_once_then_it_is_scored_worst(objective: str, worst: float, tmp_path: Path) -> None:
    runner = Tight(room=4)
    (result,) = steps(tmp_path, runner, 32, objective)
    assert runner.started == [32, 16]
    assert result[objective] == worst
    assert result["reason"].startswith("out of memory, so the batch was halved to 16; MemoryError")


def test_a_batch_of_one_can_not_be_halved(tmp_path: Path) -> None:
    runner = Tight(room=0)
    (result,) = steps(tmp_path, runner, 1)
    assert runner.started == [1]
    assert "reason" in result


def test_another_error_is_no_reason_to_try_again(tmp_path: Path) -> None:
    runner = Tight(room=0, error=lambda: ValueError("shapes"))
    (result,) = steps(tmp_path, runner, 32)
    assert runner.started == [32]
    assert result["reason"] == "ValueError: shapes"


def test_the_errors_of_python_numpy_tensorflow_and_a_gang_are_known() -> None:
    class ResourceExhaustedError(Exception):
        """Named as TensorFlow's, which is not loaded here."""

    assert is_out_of_memory(MemoryError())
    with pytest.raises(MemoryError) as caught:
        np.zeros(2**55)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(ResourceExhaustedError("OOM when allocating tensor"))
    chained = ValueError("step")
    chained.__cause__ = MemoryError()
    assert is_out_of_memory(chained)
    assert is_out_of_memory(TrainingError("but worker 1 failed (ResourceExhaustedError: OOM)"))
    assert not is_out_of_memory(TrainingError("but worker 1 is gone"))
    assert not is_out_of_memory(ValueError("a MemoryError is not meant"))
