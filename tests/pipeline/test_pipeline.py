import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray import api
from imgcls_ray.data.pixels import decode
from imgcls_ray.errors import DataError, SettingsError, StorageError, WeightsError
from imgcls_ray.evaluation.ensemble import Verdict
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.search.journal import ASKED, RESULT, read_study
from imgcls_ray.search.listener import StudyInfo, TrialOutcome


class Notes(RunListener):
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.ended: list[TrialOutcome] = []

    def step_started(self, name: str, what: str) -> None:
        self.steps.append(name)

    def study_started(self, study: StudyInfo) -> None:
        self.steps.append(f"study of {study.trials}")

    def trial_ended(self, outcome: TrialOutcome) -> None:
        self.ended.append(outcome)


def settings(data: Path, storage: Path, **search: Any) -> api.RunSettings:
    chosen = {"backbones": ["cnn"], "image_size": 16, "trials": 3, "epochs": 3, "concurrency": 1, **search}
    return api.load_settings(api.RunSettings, flags={"data": str(data), "storage": str(storage), "search": chosen})


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def finished(ray_local: None, pictures: Path, storage: Path) -> tuple[api.RunResult, Notes]:
    notes = Notes()
    return api.run(settings(pictures, storage), notes), notes


def test_the_main_job_ends_in_a_registered_model(finished: tuple[api.RunResult, Notes], storage: Path) -> None:
    result, notes = finished
    document = result.to_json()
    assert document["trials"] == 3
    assert document["pruned"] + document["failed"] <= 2
    assert document["images"] == {"found": 60, "used": 60, "rejected": 0, "duplicates": 0}
    assert document["best"]["val_accuracy"] >= document["defaults"]["val_accuracy"]
    assert document["best"]["params"]["backbone"] == "cnn"
    assert 0 <= document["test"]["accuracy"] <= 1
    assert set(document["seconds"]) == {"preprocess", "embed", "search", "evaluate", "total"}
    assert document["model"]["alias"] == "champion"
    assert document["workers"] == 1
    assert Path(document["model"]["bundle"]).is_dir()
    assert notes.steps == ["preprocess", "search", "study of 3", "ensemble", "evaluate"]
    assert [outcome.number for outcome in notes.ended] == [0, 1, 2]


def test_the_leaders_are_compared_with_the_defaults_by_their_weights(
    finished: tuple[api.RunResult, Notes], storage: Path
) -> None:
    result, _ = finished
    assert result.certainty
    assert result.certainty.trials[0].trial == result.study.leader.number
    trials = {trial.number: trial for trial in result.study.trials}
    assert result.certainty.defaults
    for one in (*result.certainty.trials, result.certainty.defaults):
        # Counted anew, picture by picture, from what was kept of the trial.
        assert one.value.value == pytest.approx(trials[one.trial].value)
        assert one.value.low <= one.value.value <= one.value.high
    assert result.to_json()["certainty"]["sentence"] == result.certainty.sentence


def test_the_report_is_in_the_studys_folder_and_in_mlflow(finished: tuple[api.RunResult, Notes], storage: Path) -> None:
    result, _ = finished
    folder = storage / "studies" / result.study.name
    assert result.report == str(folder / "report.html")
    page = Path(result.report).read_text()
    noted = read_study(folder, result.study.name).user_attrs
    assert noted[RESULT]["bundle"] == Path(result.bundle).name
    assert (noted[ASKED]["data"]["class_count"], noted[ASKED]["data"]["channels"]) == ("3", "3")
    assert result.certainty
    assert result.certainty.sentence in page.replace("&#39;", "'")
    assert f"{result.test.accuracy:.4f}" in page
    kept = {path.name for path in storage.glob("mlartifacts/*/artifacts/**/*") if path.is_file()}
    assert {
        "report.html",
        "report.json",
        "history.svg",
        "curves.svg",
        "settings.yaml",
        "model.html",
        "model.json",
    } <= kept
    assert {"test_metrics.json", "predictions.json", "predictions.parquet"} <= kept
    table = json.loads((folder / "predictions.json").read_bytes())
    assert len(table["data"]) == result.test.images
    right = [row[table["columns"].index("right")] for row in table["data"]]
    assert sum(right) / len(right) == pytest.approx(result.test.accuracy)


def test_the_resolved_settings_are_kept_and_can_be_used_again(
    finished: tuple[api.RunResult, Notes], storage: Path
) -> None:
    file = storage / "studies" / finished[0].study.name / "settings.yaml"
    kept = api.load_settings(api.RunSettings, file)
    assert (kept.search.trials, kept.search.space, kept.preprocess.val_fraction) == (3, "quick", 0.1)


def test_a_second_run_decodes_nothing_and_repeats_the_search(
    finished: tuple[api.RunResult, Notes], pictures: Path, storage: Path
) -> None:
    again = api.run(settings(pictures, storage))
    first = finished[0]
    assert again.reused == {"preprocess": True, "embed": None}
    assert again.study.best.params == first.study.best.params
    assert [trial.value for trial in again.study.trials] == [trial.value for trial in first.study.trials]
    assert again.model.alias == "candidate"
    assert again.model.version == first.model.version + 1


def test_evaluate_and_classify_agree(finished: tuple[api.RunResult, Notes], pictures: Path, storage: Path) -> None:
    model = api.load_model(str(finished[0].model), str(storage))
    evaluation = api.evaluate(model, str(pictures))
    paths = sorted(pictures.glob("*/*"))
    answers = api.classify(model, [str(path) for path in paths])
    alone = np.array([[by_label(answer)[name] for name in model.labels.names] for answer in answers])
    # `evaluate` decodes by itself and predicts in large batches.
    together = model.predict(np.stack([decode(path.read_bytes(), model.pixels) for path in paths]))
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
    truth = np.array([model.labels.index(path.parent.name) for path in paths])
    assert evaluation.metrics.images == 60
    assert evaluation.metrics.accuracy == pytest.approx(np.mean(alone.argmax(1) == truth))
    assert evaluation.metrics.loss == pytest.approx(-np.log(alone[range(60), truth]).mean(), rel=1e-4)


def by_label(answer: api.Answer) -> dict[str, float]:
    probabilities = [prediction["probability"] for prediction in answer.predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    return {prediction["label"]: prediction["probability"] for prediction in answer.predictions}


def test_wrong_requests_are_told_before_anything_is_written(pictures: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with pytest.raises(DataError, match="no folder"):
        api.run(settings(tmp_path / "none", storage))
    with pytest.raises(SettingsError, match=r"did you mean 'mobilenet_v2_0\.35'"):
        api.run(settings(pictures, storage, backbones=["mobilenet_v2_0.36"]))
    with pytest.raises(SettingsError, match="at least 32 x 32 pixels"):
        api.run(settings(pictures, storage, backbones=["mobilenet_v2_0.35"]))
    with pytest.raises(WeightsError):
        wrong = settings(pictures, storage, backbones=["mobilenet_v2_0.35"], image_size=96)
        api.run(wrong.model_copy(update={"weights": (str(tmp_path / "none.h5"),)}))
    with pytest.raises(SettingsError, match="study's name"):
        api.run(settings(pictures, storage).model_copy(update={"study": "../x"}))
    assert not storage.exists() or not list(storage.iterdir())


def test_a_study_that_is_there_is_not_overwritten(
    finished: tuple[api.RunResult, Notes], pictures: Path, storage: Path
) -> None:
    same = settings(pictures, storage).model_copy(update={"study": finished[0].study.name})
    with pytest.raises(StorageError, match="another name"):
        api.run(same)


def test_a_trial_again_has_the_curve_of_its_study(finished: tuple[api.RunResult, Notes], storage: Path) -> None:
    from mlflow import MlflowClient

    from imgcls_ray.tracking.lookup import trial_of

    study = finished[0].study
    pruned = next((trial for trial in study.trials if trial.state == "pruned"), study.trials[-1])
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name("imgcls").experiment_id

    def of_study(name: str) -> Any:
        """The study's own run: those of its trials have its name too, and a parent."""
        found = client.search_runs([experiment], f"tags.`imgcls.study` = '{name}'")
        (run,) = (run for run in found if "mlflow.parentRunId" not in run.data.tags)
        return run

    parent = of_study(study.name).info.run_id
    query = f"tags.`mlflow.parentRunId` = '{parent}' and tags.`imgcls.trial` = '{pruned.number}'"
    run = client.search_runs([experiment], query)[0].info.run_id
    assert trial_of(run, storage) == f"{study.name}/{pruned.number}"
    with pytest.raises(SettingsError, match="STUDY/NUMBER"):
        trial_of(parent, storage)
    again = api.fit(run, str(storage), study="again")
    assert of_study("again").data.tags["imgcls.from_trial"] == f"{study.name}/{pruned.number}"
    assert again.curve.compared == pruned.epochs
    assert again.curve.first_difference is None
    # Its trials had two threads each, which add in any order: of the losses the last digits may differ.
    assert "the same" in again.curve.sentence
    (trained,) = again.run.study.trials
    assert trained.epochs == pruned.params.epochs  # to its end, wherever its study stopped it
    assert trained.params == pruned.params
    if pruned.epochs == trained.epochs:
        assert trained.metrics["val_loss"] == pytest.approx(pruned.metrics["val_loss"], rel=1e-4)
    document = again.to_json()
    assert document["from_trial"] == f"{study.name}/{pruned.number}"
    assert document["curve"]["first_difference"] is None
    assert Path(document["model"]["bundle"]).is_dir()
    assert again.run.model.name == finished[0].model.name


def test_an_ensemble_is_registered_like_any_model(
    finished: tuple[api.RunResult, Notes], pictures: Path, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Verdict, "accepted", True)  # two trials of an epoch: the rule itself has tests of its own
    asked = settings(pictures, storage, trials=2, epochs=1).model_copy(update={"ensemble": 2, "study": "joined"})
    result = api.run(asked)
    document = result.to_json()
    assert document["ensemble"]["accepted"]
    bundle = api.load_model(result.bundle)
    told = [(one["trial"], one["weight"]) for one in document["ensemble"]["members"]]
    assert [(one.trial, one.weight) for one in bundle.card.members] == told
    assert sum(weight for _, weight in told) == pytest.approx(1)
    assert bundle.card.metrics["test_accuracy"] == document["test"]["accuracy"]
    assert document["model"]["version"] > finished[0].model.version
    again = api.run(asked.model_copy(update={"resume": True}))
    assert (again.bundle, again.model.version) == (result.bundle, result.model.version)


def test_a_bundle_is_where_the_next_search_starts(
    finished: tuple[api.RunResult, Notes], pictures: Path, storage: Path, tmp_path: Path
) -> None:
    """Head and last layers on another set's network, then its bundle, moved, as a backbone in turn."""
    backbone = f"bundle:{finished[0].bundle}"
    first = api.run(settings(pictures, storage, backbones=[backbone], image_size=None, trials=2, epochs=2))
    best = first.study.defaults
    assert best is not None and best.params.backbone == backbone
    assert best.params.unfrozen_layers in (0, 4)  # the network has no ten layers
    evaluation = api.evaluate(api.load_model(first.bundle), str(pictures))
    assert evaluation.metrics.images == 60
    moved = shutil.copytree(first.bundle, tmp_path / "moved")
    second = api.run(settings(pictures, storage, backbones=[f"bundle:{moved}"], image_size=None, trials=1, epochs=1))
    assert second.reused["embed"] is False
    longer = api.fit(f"{second.study.name}/0", str(storage), epochs=3, study="longer")
    assert longer.run.reused["embed"] is True
    assert longer.run.study.best.epochs == 3
