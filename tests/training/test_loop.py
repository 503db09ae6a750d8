from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.training.feed import MemoryFeed
from imgcls_ray.training.job import TrialData, TrialJob, trial_seed
from imgcls_ray.training.loop import Loop
from imgcls_ray.training.network import build_network
from tests.conftest import picture

SETTINGS: dict[str, Any] = {
    "backbone": "cnn",
    "cnn_blocks": 1,
    "cnn_width": 8,
    "epochs": 6,
    "batch_size": 8,
    "learning_rate": 0.01,
}


def feed(each: int, seed: int) -> MemoryFeed:
    labels = np.arange(3).repeat(each)
    images = np.stack([picture(int(label), seed + number, (16, 16)) for number, label in enumerate(labels)])
    return MemoryFeed(images, labels.astype(np.int64))


def loop(**changes: Any) -> Loop:
    settings = TrialSettings(**{**SETTINGS, **changes})
    job = TrialJob(settings, trial_seed(0, settings), TrialData(Path(), Size(16, 16), 3, 3))
    return Loop(job, build_network(job, None), feed(20, 0), feed(7, 1000))


def test_it_learns() -> None:
    trained = loop()
    metrics = [trained.train_epoch() for _ in range(6)]
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert metrics[-1]["val_accuracy"] > 0.8
    assert set(metrics[0]) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}


def test_the_same_job_gives_the_same_weights() -> None:
    first, second = loop(dropout=0.3), loop(dropout=0.3)
    for trained in (first, second):
        trained.train_epoch()
    for one, other in zip(first.weights(), second.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_goes_on_from_a_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    straight, stopped = loop(), loop()
    for _ in range(2):
        straight.train_epoch()
    stopped.train_epoch()
    stopped.save(tmp_path / "state.npz")
    resumed = loop()
    resumed.load(tmp_path / "state.npz")
    metrics = resumed.train_epoch()
    assert resumed.epoch == 2
    assert metrics["learning_rate"] == pytest.approx(0.01 * 0.5 * (1 + np.cos(np.pi * 13 / 42)))
    for one, other in zip(straight.weights(), resumed.weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("changes", [{"optimizer": "sgd"}, {"optimizer": "adamw"}, {"batch_size": 1000}])
def test_every_optimizer_and_a_batch_larger_than_the_data_train(changes: dict[str, Any]) -> None:
    assert np.isfinite(loop(**changes).train_epoch()["loss"])


def test_weight_decay_is_part_of_what_is_minimised() -> None:
    plain, decayed = loop(), loop(weight_decay=0.5)
    for _ in range(3):
        plain.train_epoch()
        decayed.train_epoch()

    def norm(trained: Loop) -> float:
        return sum(float(np.square(v.numpy()).sum()) for v in trained.model.trainable_variables if "kernel" in v.name)

    assert norm(decayed) < 0.5 * norm(plain)


def test_the_seed_follows_from_study_seed_and_settings() -> None:
    settings = TrialSettings(**SETTINGS)
    assert trial_seed(1, settings) == trial_seed(1, TrialSettings(**SETTINGS))
    assert trial_seed(1, settings) != trial_seed(2, settings)
    assert trial_seed(1, settings) != trial_seed(1, settings.model_copy(update={"epochs": 7}))
