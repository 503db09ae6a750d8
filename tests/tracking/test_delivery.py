"""What a study could not leave in MLflow at its end is sent later, once, its model too."""

import json
import shutil
from pathlib import Path

import pytest
from requests import HTTPError, Response

from imgcls_ray.config import RunSettings, TrackingSettings
from imgcls_ray.config.saving import write_settings
from imgcls_ray.errors import ClusterError, ModelError, StorageError
from imgcls_ray.pipeline import delivery
from imgcls_ray.pipeline.delivery import deliver, track
from imgcls_ray.search.journal import sole_driver
from imgcls_ray.search.record import RESULT, StudyRecord
from imgcls_ray.tracking.registry import resolve
from imgcls_ray.tracking.tracker import Tracker

from .conftest import INFO, outcome, tell_study
from .test_ui import free_port


@pytest.fixture
def unsent(storage: Path, bundle: Path) -> str:
    """A study that was to be recorded under the storage, as if a server there had been away; the server's address."""
    folder, uri = storage / "studies" / INFO.name, f"http://127.0.0.1:{free_port()}"
    settings = TrackingSettings(uri=uri)
    StudyRecord(INFO.name, "/pictures", 3, {}).write(folder)
    write_settings(folder / "settings.yaml", RunSettings(data="/pictures"))
    with Tracker(storage, settings, patience=0.5) as tracker:
        tell_study(tracker.listener(), (outcome(0, 0.5), outcome(1, 0.7)))
        tracker.log_study(None, [folder / "settings.yaml"])
        made, sentence = deliver(tracker, bundle, "pets")
    assert made is None
    assert sentence is not None
    assert f"imgcls track {INFO.name} --storage {storage}" in sentence
    model = {"name": "pets", "version": None, "alias": None, "bundle": str(bundle)}
    (folder / RESULT).write_text(json.dumps({"model": model, "unsent": sentence}))
    return uri


def test_what_is_left_is_sent_once_and_the_model_registered(unsent: str, storage: Path, bundle: Path) -> None:
    first = track(INFO.name, str(storage))
    assert first.sent == first.records > 5
    assert first.model is not None
    assert (first.model.name, first.model.version) == ("pets", 1)
    assert resolve("models:/pets/1", storage).is_dir()
    document = json.loads((storage / "studies" / INFO.name / RESULT).read_bytes())
    assert (document["model"]["version"], document["model"]["champion"], document["unsent"]) == (1, None, None)
    again = track(INFO.name, str(storage))
    assert (again.sent, again.records, again.run, again.model) == (0, first.records, first.run, None)


def test_another_address_gets_all_of_it_once(unsent: str, storage: Path, empty: Path, tmp_path: Path) -> None:
    shutil.copy(empty / "mlflow.db", tmp_path / "other.db")  # to make one takes seconds
    uri = f"sqlite:///{tmp_path}/other.db"
    first, again = track(INFO.name, str(storage), uri), track(INFO.name, str(storage), uri)
    assert (first.sent, again.sent, again.run) == (first.records, 0, first.run)
    assert first.model is not None
    assert first.model == again.model
    document = json.loads((storage / "studies" / INFO.name / RESULT).read_bytes())
    assert document["model"]["version"] is None, "where it was to be recorded it is still missing"


def test_an_address_with_a_user_is_where_the_study_was_to_be_recorded(
    unsent: str, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is kept in no file, so it is given again."""
    folder = storage / "studies" / INFO.name
    write_settings(folder / "settings.yaml", RunSettings(data="/pictures", tracking=TrackingSettings(uri=unsent)))
    given: list[TrackingSettings] = []

    def local(root: Path, settings: TrackingSettings) -> Tracker:
        given.append(settings)
        return Tracker(root, TrackingSettings())  # stands for the server

    monkeypatch.setattr(delivery, "Tracker", local)
    address = unsent.replace("://", "://ann:secret@")
    assert track(INFO.name, str(storage), address).model is not None
    assert [settings.uri for settings in given] == [address]
    assert json.loads((folder / RESULT).read_bytes())["model"]["version"] == 1


def refusal(status: int) -> HTTPError:
    response = Response()
    response.status_code, response.url, response.reason = status, "http://ann:secret@files/model.keras", "Refused"
    return HTTPError(f"{status} Client Error: Refused for url: {response.url}\n<html>", response=response)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (refusal(413), "413 Client Error: Refused for url: http://files/model.keras"),
        (ModuleNotFoundError("No module named 'boto3'", name="boto3"), "needs the Python package boto3"),
        (RuntimeError("An error occurred (AccessDenied)"), "An error occurred (AccessDenied)"),
    ],
    ids=["HTTP", "no boto3", "botocore"],
)
def test_a_bundle_that_the_store_of_files_refuses_costs_a_study_its_registration_only(
    error: Exception, why: str, unsent: str, storage: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_given: object) -> None:
        raise error

    with monkeypatch.context() as patch, Tracker(storage, TrackingSettings()) as tracker:
        patch.setattr(tracker.client, "log_artifacts", refused)
        tracker.begin(INFO.name)
        made, sentence = deliver(tracker, bundle, "pets")
    assert made is None
    assert sentence is not None
    assert sentence.startswith("The model is not registered (")
    assert why in sentence
    assert sentence.endswith(f"; `imgcls track {INFO.name} --storage {storage}` sends them when it is there again.")
    assert track(INFO.name, str(storage)).model is not None


def test_a_bundle_that_is_gone_is_told(unsent: str, storage: Path, bundle: Path) -> None:
    (bundle / "checksums.json").unlink()
    with pytest.raises(ModelError, match="Only a bundle can be registered"):
        track(INFO.name, str(storage))


def test_a_server_that_is_still_away_is_told(unsent: str, storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcls_ray.tracking.tracker.PATIENCE", 0.5)
    with pytest.raises(ClusterError, match="imgcls track"):
        track(INFO.name, str(storage), unsent)


def test_an_outbox_without_its_beginning_is_told_at_once(unsent: str, storage: Path) -> None:
    file = storage / "studies" / INFO.name / "tracking.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(StorageError, match="not the study's start"):
        track(INFO.name, str(storage))


def test_a_study_that_runs_or_has_nothing_to_send_is_told(storage: Path) -> None:
    folder = storage / "studies" / INFO.name
    StudyRecord(INFO.name, "/pictures", 3, {}).write(folder)
    with pytest.raises(StorageError, match="has nothing for MLflow"):
        track(INFO.name, str(storage))
    with pytest.raises(StorageError, match="did you mean 'pets-1'"):
        track("pets-2", str(storage))
    write_settings(folder / "settings.yaml", RunSettings(data="/pictures"))
    (folder / "tracking.jsonl").write_bytes(b"")
    with sole_driver(folder), pytest.raises(StorageError, match="one process at a time"):
        track(INFO.name, str(storage))
