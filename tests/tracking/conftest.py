"""A made-up study, told to a listener; an empty MLflow database, made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.bundle.files import write_golden
from imgcls_ray.config import TrackingSettings, TrialSettings
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome, TrialOutcome
from imgcls_ray.search.objective import Second
from imgcls_ray.tracking.tracker import Tracker

DATA = {"name": "pets", "fingerprint": "ab" * 32, "found": "60", "classes": "cat, dog", "train": "40", "test": "12"}
DIGESTS = {"train_fingerprint": "1" * 64, "val_fingerprint": "2" * 64, "test_fingerprint": "3" * 64}
INFO = StudyInfo("pets-1", 3, {"search.trials": "3"}, DATA | DIGESTS, conditions={"seed": "7", "version.keras": "3.15"})


def outcome(number: int, value: float | None, state: str = "complete", epochs: int = 2) -> TrialOutcome:
    scores = {} if value is None else {"val_accuracy": value, "val_loss": 1 - value}
    reason = None if state == "complete" else f"It was {state}."
    return TrialOutcome(number, state, value, TrialSettings(dropout=0.3), epochs, 1.5, scores, reason)  # type: ignore[arg-type]


def tell_trial(listener: StudyListener, ended: TrialOutcome) -> None:
    listener.trial_started(ended.number, ended.params)
    for epoch in range(1, ended.epochs + 1):
        listener.epoch_ended(ended.number, epoch, {"loss": 1 / epoch, "val_accuracy": (ended.value or 0) * epoch})
    listener.trial_ended(ended)


def tell_study(
    listener: StudyListener, trials: tuple[TrialOutcome, ...], info: StudyInfo = INFO, second: Second | None = None
) -> None:
    listener.study_started(info)
    for trial in trials:
        tell_trial(listener, trial)
    best = max(trials, key=lambda trial: trial.value or 0)
    listener.study_ended(StudyOutcome(info.name, trials, best, trials[0], 9.0, second=second))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage root with a new database. Making one takes seconds, copying it nothing. Read only."""
    root = tmp_path_factory.mktemp("empty")
    Tracker(root, TrackingSettings()).close()
    return root


@pytest.fixture
def storage(empty: Path, tmp_path: Path) -> Path:
    """A storage root of the test's own. Its database has no experiment yet, so that artifacts go below this root."""
    return fresh(empty, tmp_path / "runs")


def fresh(empty: Path, root: Path) -> Path:
    """A storage root made at `root`, as the fixture of that name."""
    import sqlite3

    root.mkdir()
    shutil.copy(empty / "mlflow.db", root / "mlflow.db")
    with sqlite3.connect(root / "mlflow.db") as database:
        database.execute("DELETE FROM experiment_tags WHERE experiment_id = 1")
        database.execute("DELETE FROM experiments WHERE name = 'imgcls'")
    database.close()
    return root


@pytest.fixture
def tracker(storage: Path) -> Iterator[Tracker]:
    with Tracker(storage, TrackingSettings()) as opened:
        yield opened


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """What looks like a bundle: the registry copies, it does not load."""
    path = tmp_path / "made" / "pets"
    path.mkdir(parents=True)
    (path / "model.keras").write_bytes(b"model")
    (path / "checksums.json").write_text("{}")
    write_golden(path / "golden.npz", np.zeros((1, 4, 4, 3), np.uint8), np.ones((1, 2), np.float32) / 2)
    return path
