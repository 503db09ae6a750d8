from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.index import Index, write_index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.sources import Split
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
    scores = {"val_loss", "val_accuracy", "val_f1_macro", "val_balanced_accuracy"}
    assert set(metrics[0]) == {"loss", "accuracy", "learning_rate", "seconds"} | scores
    # As many validation pictures of each class.
    assert metrics[-1]["val_balanced_accuracy"] == pytest.approx(metrics[-1]["val_accuracy"])


EVERYTHING: dict[str, Any] = {"dropout": 0.3, "mixup": 0.4, "cutmix": 1.0, "augment": 0.5}


def test_the_same_job_gives_the_same_weights() -> None:
    first, second = loop(**EVERYTHING), loop(**EVERYTHING)
    for trained in (first, second):
        trained.train_epoch()
    for one, other in zip(first.weights(), second.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("changes", [{}, EVERYTHING])
def test_it_goes_on_from_a_checkpoint_as_if_never_stopped(changes: dict[str, Any], tmp_path: Path) -> None:
    straight, stopped = loop(**changes), loop(**changes)
    for _ in range(2):
        straight.train_epoch()
    stopped.train_epoch()
    stopped.save(tmp_path / "state.npz")
    resumed = loop(**changes)
    resumed.load(tmp_path / "state.npz")
    metrics = resumed.train_epoch()
    assert resumed.epoch == 2
    assert metrics["learning_rate"] == pytest.approx(0.01 * 0.5 * (1 + np.cos(np.pi * 13 / 42)))
    for one, other in zip(straight.weights(), resumed.weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_plateau_and_early_stopping_survive_a_checkpoint(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"schedule": "plateau", "plateau_patience": 1, "early_stopping": 9}
    trained = loop(**settings)
    trained.train_epoch()
    for _ in range(2):  # no validation loss is below 0: each epoch from now on is one without gain
        trained._course.see({"val_loss": float("inf"), "val_accuracy": 0.0})
    trained.save(tmp_path / "state.npz")
    resumed = loop(**settings)
    resumed.load(tmp_path / "state.npz")
    first, second = trained.train_epoch(), resumed.train_epoch()
    assert first["learning_rate"] == second["learning_rate"] == pytest.approx(0.01 * 0.3**2)
    assert first["stale_epochs"] == second["stale_epochs"]


@pytest.mark.parametrize(
    "changes",
    [{"optimizer": "sgd"}, {"optimizer": "adamw"}, {"optimizer": "rmsprop"}, {"batch_size": 1000}, {"loss": "focal"}],
)
def test_every_optimizer_and_loss_and_a_batch_larger_than_the_data_train(changes: dict[str, Any]) -> None:
    assert np.isfinite(loop(**changes).train_epoch()["loss"])


@pytest.mark.parametrize("changes", [{"mixup": 0.2}, {"cutmix": 1.0}, {"augment": 0.3, "rotation": False}])
def test_it_learns_from_mixed_and_augmented_pictures(changes: dict[str, Any]) -> None:
    trained = loop(**changes, epochs=8)
    metrics = [trained.train_epoch() for _ in range(8)]
    assert metrics[-1]["val_accuracy"] > 0.8


def test_pictures_are_augmented_in_training_alone() -> None:
    plain, augmented = loop(learning_rate=1e-12), loop(learning_rate=1e-12, augment=1.0)
    augmented.model.set_weights(plain.model.get_weights())
    first, second = plain.train_epoch(), augmented.train_epoch()
    assert first["loss"] != pytest.approx(second["loss"], rel=1e-3)
    assert len(plain.model.layers) == len(augmented.model.layers)


def test_a_class_that_weighs_more_is_answered_more(tmp_path: Path) -> None:
    labels = Labels.of(["a", "b", "c"])
    counts: dict[Split, list[int]] = {"train": [20, 20, 20], "val": [7, 7, 7], "test": [0, 0, 0]}
    write_index(tmp_path, Index(labels, PixelOps(16, 16, "color"), "hdf5", "", "x", (), counts, ""))
    settings = TrialSettings(**{**SETTINGS, "class_weighting": "c=1000"})
    job = TrialJob(settings, 0, TrialData(tmp_path, Size(16, 16), 3, 3))
    trained = Loop(job, build_network(job, None), feed(20, 0), feed(7, 1000))
    for _ in range(3):
        metrics = trained.train_epoch()
    assert metrics["val_accuracy"] < 0.8
    assert metrics["val_f1_macro"] < metrics["val_accuracy"]


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


def test_a_field_at_its_default_leaves_the_seed_as_it_was_before_there_was_one() -> None:
    settings = TrialSettings(dropout=0.3)
    assert trial_seed(0, settings) == 57307928
    assert trial_seed(0, settings.model_copy(update={"mixup": 0.0})) == 57307928
    assert trial_seed(0, settings.model_copy(update={"mixup": 0.1})) != 57307928
