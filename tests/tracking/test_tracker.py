"""A study in a real database: what was told is what MLflow shows."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.config import TrackingSettings
from imgcls_ray.errors import StorageError
from imgcls_ray.evaluation.metrics import score
from imgcls_ray.evaluation.predictions import Predictions
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.objective import Second
from imgcls_ray.tracking.figures import study_figures, summary
from imgcls_ray.tracking.tracker import Tracker

from .conftest import INFO, outcome, tell_study, tell_trial

TRIALS = (outcome(0, 0.6), outcome(1, 0.8), outcome(2, 0.7, "pruned", 1), outcome(3, None, "failed", 0))


def children(tracker: Tracker) -> dict[str, Any]:
    runs = tracker.client.search_runs(
        [tracker.client.get_run(tracker.run_id).info.experiment_id],
        f"tags.mlflow.parentRunId = '{tracker.run_id}'",
        max_results=1000,
    )
    return {run.info.run_name: run for run in runs}


def test_twenty_trials_of_ten_epochs_all_arrive(tracker: Tracker) -> None:
    tell_study(tracker.listener(), tuple(outcome(number, 0.5, epochs=10) for number in range(20)))
    runs = children(tracker)
    assert sorted(runs) == [f"trial-{number:03d}" for number in range(20)]
    for run in runs.values():
        history = tracker.client.get_metric_history(run.info.run_id, "loss")
        assert [(point.step, point.value) for point in history] == [(epoch, 1 / epoch) for epoch in range(1, 11)]


def test_the_parent_holds_the_figures_of_the_study(tracker: Tracker) -> None:
    tell_study(tracker.listener(), TRIALS)
    run = tracker.client.get_run(tracker.run_id)
    assert run.info.run_name == INFO.name
    assert run.info.status == "FINISHED"
    assert run.data.metrics["best_val_accuracy"] == 0.8
    assert run.data.metrics["defaults_val_accuracy"] == 0.6
    assert (run.data.metrics["trials"], run.data.metrics["pruned"], run.data.metrics["failed"]) == (4, 1, 1)
    assert run.data.params == INFO.settings
    assert run.data.tags["imgcls.data.found"] == "60"
    assert "0.8000" in run.data.tags["mlflow.note.content"]
    assert run.inputs.dataset_inputs[0].dataset.name == "pets"
    so_far = tracker.client.get_metric_history(tracker.run_id, "best_val_accuracy_so_far")
    assert [point.value for point in so_far] == [0.6, 0.8]


def test_where_there_are_no_defaults_none_are_told() -> None:
    alone = StudyOutcome("again", (TRIALS[0],), TRIALS[0], None, 9.0)
    assert "defaults_val_accuracy" not in study_figures(alone)
    assert "defaults" not in summary(alone)


def test_a_child_holds_the_settings_the_state_and_the_best_value(tracker: Tracker) -> None:
    tell_study(tracker.listener(), TRIALS)
    runs = children(tracker)
    assert {name: run.info.status for name, run in runs.items()} == {
        "trial-000": "FINISHED",
        "trial-001": "FINISHED",
        "trial-002": "FINISHED",
        "trial-003": "FAILED",
    }
    assert runs["trial-002"].data.tags["imgcls.state"] == "pruned"
    best = runs["trial-001"]
    assert best.data.metrics["best_val_accuracy"] == 0.8
    assert best.data.params == {
        key: str(value) for key, value in TRIALS[1].params.model_dump(exclude_unset=True).items()
    }
    assert best.data.tags["imgcls.best"] == "true"
    assert runs["trial-003"].data.tags["imgcls.reason"] == "It was failed."
    assert "best_val_accuracy" not in runs["trial-003"].data.metrics


def test_test_figures_and_files_go_to_the_parent(tracker: Tracker, tmp_path: Path) -> None:
    tell_study(tracker.listener(), TRIALS)
    (tmp_path / "settings.yaml").write_text("a: 1\n")
    metrics = score(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"))
    tracker.log_study(metrics, [tmp_path / "settings.yaml"])
    assert tracker.client.get_run(tracker.run_id).data.metrics["test_accuracy"] == 1
    assert tracker.client.get_run(tracker.run_id).data.metrics["test_f1_macro"] == 1
    names = {file.path for file in tracker.client.list_artifacts(tracker.run_id)}
    assert names == {"settings.yaml", "test_metrics.json"}


def test_the_table_of_predictions_is_one_for_mlflow(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `load_table` asks the address that is set for the whole program.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", tracker.uri)
    tell_study(tracker.listener(), TRIALS)
    answers = Predictions(("a/1.png", "b/2.png"), np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), ("a", "b"))
    tracker.log_study(None, [], 1, answers.write(tmp_path, Calibration()))
    experiment = tracker.client.get_run(tracker.run_id).info.experiment_id
    best = children(tracker)["trial-001"].info.run_id
    for run in (tracker.run_id, best):
        table = tracker.client.load_table(experiment, "predictions.json", [run])
        assert table["key"].tolist() == ["b/2.png", "a/1.png"]
        assert table["score b"].tolist() == [0.4, 0.1]
    assert {file.path for file in tracker.client.list_artifacts(best)} == {"predictions.json", "predictions.parquet"}


def test_a_trial_that_is_beaten_after_the_study_was_taken_up_is_no_longer_the_best(storage: Path) -> None:
    for trials, best in ((TRIALS, 1), ((*TRIALS, outcome(4, 0.9)), 4)):
        with Tracker(storage, TrackingSettings()) as tracker:
            tell_study(tracker.listener(), trials)
            marked = {(name, tag) for name, run in children(tracker).items() for tag in run.data.tags}
        assert {name for name, tag in marked if tag in ("imgcls.best", "imgcls.leader")} == {f"trial-00{best}"}


def test_a_study_taken_up_again_goes_on_in_its_runs(storage: Path) -> None:
    with pytest.raises(RuntimeError, match="power"), Tracker(storage, TrackingSettings()) as cut:
        listener = cut.listener()
        listener.study_started(INFO)
        tell_trial(listener, TRIALS[0])
        listener.trial_started(1, TRIALS[1].params)
        listener.epoch_ended(1, 1, {"loss": 1.0})
        raise RuntimeError("power cut")
    first = cut.client.search_runs(["1"])
    assert {run.info.run_name: run.info.status for run in first} == {
        "pets-1": "FAILED",
        "trial-000": "FINISHED",
        "trial-001": "KILLED",
    }
    with Tracker(storage, TrackingSettings()) as again:
        tell_study(again.listener(), TRIALS)
        assert again.run_id == next(run.info.run_id for run in first if run.info.run_name == "pets-1")
        assert len(children(again)) == 4
        assert children(again)["trial-001"].info.status == "FINISHED"


def test_studies_of_one_name_in_two_storage_roots_stay_apart(storage: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{storage}/mlflow.db"
    ids = set()
    for root in ("a", "b"):
        with Tracker(tmp_path / root, TrackingSettings(uri=uri)) as tracker:
            tell_study(tracker.listener(), TRIALS[:1])
            ids.add(tracker.run_id)
    assert len(ids) == 2


def test_many_writers_at_once_lose_nothing(storage: Path) -> None:
    """Benchmarks/writers.py has 32, each a process of its own."""
    trackers = [Tracker(storage, TrackingSettings()) for _ in range(8)]
    for number, tracker in enumerate(trackers):
        listener = tracker.listener()
        listener.study_started(replace(INFO, name=f"pets-{number}"))
        listener.trial_started(0, TRIALS[0].params)
    for epoch in range(1, 21):
        for number, tracker in enumerate(trackers):
            tracker.listener().epoch_ended(0, epoch, {"val_loss": number + epoch / 100})
    for number, tracker in enumerate(trackers):
        history = tracker.client.get_metric_history(children(tracker)["trial-000"].info.run_id, "val_loss")
        assert [(point.step, point.value) for point in history] == [(n, number + n / 100) for n in range(1, 21)]
        tracker.close()


def test_what_mlflow_refuses_is_told_once_and_the_rest_is_there(tracker: Tracker, tmp_path: Path) -> None:
    tell_study(tracker.listener(), TRIALS)
    (tmp_path / "there.txt").write_text("x")
    tracker.log_study(None, [tmp_path / "gone.txt"])
    tracker.log_study(None, [tmp_path / "there.txt"])
    tracker.flush()
    assert "refused 1 of the study's records" in str(tracker.refusals())
    assert tracker.refusals() is None
    assert [file.path for file in tracker.client.list_artifacts(tracker.run_id)] == ["there.txt"]


def test_a_study_that_was_deleted_and_its_namesake_stay_apart(storage: Path) -> None:
    ids = set()
    for _ in range(2):
        with Tracker(storage, TrackingSettings()) as tracker:
            tell_study(tracker.listener(), TRIALS[:1])
            ids.add(tracker.run_id)
            assert len(children(tracker)) == 1
        shutil.rmtree(storage / "studies" / INFO.name)
    assert len(ids) == 2


def test_odd_names_and_values_arrive(tracker: Tracker) -> None:
    info = replace(INFO, name="it's odd", settings={f"key{n}": "x" * 9000 for n in range(250)})
    listener = tracker.listener()
    listener.study_started(info)
    listener.trial_started(0, TRIALS[0].params)
    listener.epoch_ended(0, 1, {"loss": float("nan"), "val_loss": float("inf")})
    tracker.flush()
    assert len(tracker.client.get_run(tracker.run_id).data.params) == 250


def test_without_a_study_there_is_no_run(tracker: Tracker) -> None:
    with pytest.raises(StorageError, match="No study"):
        _ = tracker.run_id


def test_of_two_objectives_the_second_is_a_metric_and_the_front_is_marked_anew_each_time(storage: Path) -> None:
    info, second = replace(INFO, second=Second("size_mb")), Second("size_mb")

    def pair(number: int, value: float, size: float) -> TrialOutcome:
        return replace(outcome(number, value), second=size, metrics={"val_accuracy": value, "val_loss": 1.0})

    first = (pair(0, 0.5, 2.0), pair(1, 0.75, 3.0), pair(2, 0.5, 4.0))
    for trials in (first, (*first, pair(3, 0.75, 1.0))):
        with Tracker(storage, TrackingSettings()) as tracker:
            tell_study(tracker.listener(), trials, info, second)
            runs = children(tracker)
            parent = tracker.client.get_run(tracker.run_id)
            front = {name for name, run in runs.items() if run.data.tags.get("imgcls.front") == "true"}
            if trials == first:
                assert front == {"trial-000", "trial-001"}
                assert parent.data.tags["imgcls.front"] == "0, 1"
    assert front == {"trial-003"}
    assert parent.data.tags["imgcls.front"] == "3"
    assert parent.data.metrics["best_size_mb"] == 3.0, "trial 1 is the best by the first alone"
    assert {name: run.data.metrics["size_mb"] for name, run in runs.items()} == {
        "trial-000": 2.0,
        "trial-001": 3.0,
        "trial-002": 4.0,
        "trial-003": 1.0,
    }
