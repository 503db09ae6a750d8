"""The comparison with the defaults, of answers that were made by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from imgcls_ray.config import TrialSettings
from imgcls_ray.data.manifest import ManifestRow, write_manifest
from imgcls_ray.pipeline.standing import Answers, standing
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome

Places = dict[str, tuple[str, int]]
"""Shard and row of each picture, by its content."""


def stored(folder: Path, places: Places) -> Path:
    """A set with these validation pictures, and one for training."""
    folder.mkdir()
    rows = [
        ManifestRow(f"{name}.jpg", "a", "val", name, 8, 8, 1, "used", shard=shard, row=row)
        for name, (shard, row) in sorted(places.items())
    ]
    learned = ManifestRow("z.jpg", "a", "train", "z", 8, 8, 1, "used", shard="train-0", row=0)
    write_manifest(folder, [*rows, learned])
    return folder


def answers_of(folders: list[Path], given: list[tuple[np.ndarray, np.ndarray]]) -> tuple[StudyOutcome, Answers]:
    """Trials 0, 1, ... on these sets, with what they answer in the order of storage, and the labels."""
    metrics = {"val_accuracy": 0.5, "val_loss": 1.0}
    trials = [
        TrialOutcome(number, "complete", 0.5, TrialSettings(image_size=str(number + 1)), 1, 1.0, metrics)
        for number in range(len(folders))
    ]
    context = SimpleNamespace(
        job=lambda params: SimpleNamespace(data=SimpleNamespace(path=folders[int(params.image_size) - 1])),
        weights_path=lambda number: folders[number] / "manifest.parquet",
    )
    outcome = StudyOutcome("made", tuple(trials), trials[0], trials[0], 1.0)
    study: Any = SimpleNamespace(context=lambda: context)
    answers = Answers(study, outcome)
    answers._found.update(enumerate(given))
    return outcome, answers


def right(labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(2, dtype=np.float32)[labels] * 0.8 + 0.1, np.array(labels)


def test_trials_on_sets_that_are_sharded_otherwise_are_compared_picture_by_picture(tmp_path: Path) -> None:
    small = stored(tmp_path / "small", {"p": ("val-0", 0), "q": ("val-0", 1), "r": ("val-1", 0), "s": ("val-1", 1)})
    large = stored(tmp_path / "large", {"s": ("val-0", 0), "t": ("val-0", 1), "q": ("val-1", 0), "p": ("val-2", 0)})
    outcome, answers = answers_of([small, large], [right([0, 1, 0, 1]), right([1, 0, 1, 0])])
    given, labels = answers.together(answers.trials)
    assert labels.tolist() == [0, 1, 1]  # p, q, s: neither has both r and t
    for found in given.values():
        assert found.argmax(axis=1).tolist() == labels.tolist()
    found = standing(outcome, answers)
    assert found is not None
    assert found.pictures == 3
    assert [one.value.value for one in found.trials] == [1.0, 1.0]


def test_trials_on_one_set_are_compared_as_they_are(tmp_path: Path) -> None:
    folder = stored(tmp_path / "set", {"p": ("val-0", 0), "q": ("val-0", 1)})
    _, answers = answers_of([folder, folder], [right([0, 1]), right([1, 1])])
    given, labels = answers.together(answers.trials)
    assert labels is answers._found[0][1]
    assert all(given[number] is answers._found[number][0] for number in (0, 1))
    assert given[1].argmax(axis=1).tolist() == [1, 1]
