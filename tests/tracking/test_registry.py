"""A bundle goes into the registry and comes back; what can't be found is told with what there is."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgcls_ray.errors import ModelError, SettingsError, StorageError
from imgcls_ray.tracking import registry
from imgcls_ray.tracking.registry import Located, locate, model_name, register, resolve
from imgcls_ray.tracking.tracker import Tracker

from .conftest import INFO


@pytest.fixture
def run(tracker: Tracker) -> str:
    tracker.listener().study_started(INFO)
    return tracker.run_id


def test_each_new_version_is_the_candidate(tracker: Tracker, bundle: Path, run: str) -> None:
    first = register(tracker, bundle, "pets", run, accuracy=0.91234)
    (bundle / "checksums.json").write_text('{"another": "model"}')
    tracker.client.set_registered_model_alias("pets", "champion", "1")
    second = register(tracker, bundle, "pets", run)
    assert (first.champion, second.champion) == (None, 1)
    assert (first.name, first.version, first.alias, str(first)) == ("pets", 1, "candidate", "models:/pets@candidate")
    assert (second.version, second.alias) == (2, "candidate")
    assert resolve("models:/pets/1", tracker.storage) != resolve("models:/pets/2", tracker.storage)
    version = tracker.client.get_model_version("pets", "1")
    assert (version.run_id, version.tags["accuracy"]) == (run, "0.9123")
    assert str(tracker.client.get_model_version_by_alias("pets", "candidate").version) == "2"
    assert str(register(tracker, bundle, "pets", run)) == "models:/pets@candidate"


def test_a_study_that_is_taken_up_registers_its_bundle_once(tracker: Tracker, bundle: Path, run: str) -> None:
    first = register(tracker, bundle, "pets", run)
    assert register(tracker, bundle, "pets", run) == first
    (bundle / "checksums.json").write_text('{"another": "model"}')
    second = register(tracker, bundle, "pets", run)
    assert register(tracker, bundle, "pets", run) == second
    assert second.version == 2


@pytest.mark.parametrize("ref", ["models:/pets@candidate", "models:/pets/1"])
def test_a_registered_bundle_is_found(tracker: Tracker, storage: Path, bundle: Path, run: str, ref: str) -> None:
    register(tracker, bundle, "pets", run)
    found = locate(ref, storage)
    assert found.version == "1"
    assert found.path == resolve(ref, storage)
    assert found.path.is_relative_to(storage)
    assert (found.path / "model.keras").read_bytes() == b"model"


def test_a_bundles_path_is_itself(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(str(bundle), tmp_path) == Located(bundle, None)
    monkeypatch.chdir(bundle.parent)
    assert resolve("pets", tmp_path) == bundle


@pytest.mark.parametrize(("ref", "why"), [("no/such", "does not exist"), (".", "does not hold both model.keras")])
def test_a_path_without_a_bundle_is_refused(tmp_path: Path, ref: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        resolve(ref, tmp_path)


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("models:/pet@champion", "did you mean 'pets'"),
        ("models:/pets@prod", "its aliases are: candidate"),
        ("models:/pets/7", "its versions are: 1"),
        ("models:/pets", "models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/pets/latest", "models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/it's@champion", "No model named"),
    ],
)
def test_what_is_not_registered_is_told(
    tracker: Tracker, storage: Path, bundle: Path, run: str, ref: str, why: str
) -> None:
    register(tracker, bundle, "pets", run)
    with pytest.raises(ModelError, match=why):
        resolve(ref, storage)


def test_an_empty_registry_says_how_to_fill_it(storage: Path) -> None:
    with pytest.raises(ModelError, match="imgcls run"):
        resolve("models:/pets@champion", storage)


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Nothing is recorded"):
        resolve("models:/pets@champion", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_storage_root_that_was_moved_keeps_its_models(
    tracker: Tracker, storage: Path, bundle: Path, run: str, tmp_path: Path
) -> None:
    register(tracker, bundle, "pets", run)
    tracker.close()
    moved = Path(shutil.copytree(storage, tmp_path / "moved"))
    shutil.rmtree(storage / "mlartifacts")
    assert resolve("models:/pets@candidate", moved).is_relative_to(moved)
    with pytest.raises(ModelError, match="no bundle is there"):
        resolve("models:/pets@candidate", storage)


@pytest.mark.parametrize(
    ("text", "name"), [("pets", "pets"), ("a/b:c d", "a-b-c-d"), ("äpfel_1.2", "äpfel_1.2"), ("///", "model")]
)
def test_names_become_what_the_registry_takes(text: str, name: str) -> None:
    assert model_name(text) == name


def test_only_a_bundle_is_registered(tracker: Tracker, tmp_path: Path, run: str) -> None:
    with pytest.raises(ModelError, match="Only a bundle"):
        register(tracker, tmp_path, "pets", run)


def test_an_old_file_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="migrate-filestore"):
        resolve("models:/pets@champion", tmp_path, "file:./mlruns")


class RemoteClient:
    """A client whose artifacts lie elsewhere; it counts the downloads."""

    def __init__(self, bundle: Path) -> None:
        self.bundle, self.downloads = bundle, 0

    def download_artifacts(self, run_id: str, path: str, dst_path: str) -> str:
        self.downloads += 1
        return str(shutil.copytree(self.bundle, Path(dst_path) / path))


def remote_version() -> Any:
    return SimpleNamespace(
        name="pets", version="3", source="mlflow-artifacts:/1/r/artifacts/bundle", run_id="r", creation_timestamp=7
    )


def test_a_remote_version_is_downloaded_once(bundle: Path, tmp_path: Path) -> None:
    client: Any = RemoteClient(bundle)
    root = tmp_path / "root"
    first = registry.fetch(client, remote_version(), root)
    assert registry.fetch(client, remote_version(), root) == first == root / "models" / "pets-3-7"
    assert client.downloads == 1
    assert [path.name for path in (root / "models").iterdir()] == ["pets-3-7"]


def test_a_download_that_is_no_bundle_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    (bundle / "checksums.json").unlink()
    client: Any = RemoteClient(bundle)
    with pytest.raises(ModelError, match="no bundle"):
        registry.fetch(client, remote_version(), tmp_path / "root")
    assert list((tmp_path / "root" / "models").iterdir()) == []
