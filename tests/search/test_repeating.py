import shutil
from pathlib import Path

import pytest

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.errors import SettingsError, StorageError
from imgcls_ray.search.parameters import Fixed
from imgcls_ray.search.record import AFFORDABLE, StudyRecord, deciding, weights_file
from imgcls_ray.search.repeating import find_trial, values_of
from imgcls_ray.search.resources import plan_resources
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.trainable import TrialContext
from imgcls_ray.training.job import TrialData
from tests.search.made import SETTINGS, old_study


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old_study(tmp_path_factory.mktemp("studies"))


def test_it_has_the_settings_the_curve_and_the_space_of_its_study(studies: Path) -> None:
    found = find_trial(studies, "old/0")
    assert found.name == "old/0"
    assert found.settings == SETTINGS
    assert found.values == {1: 0.5, 2: 0.625} == values_of(studies / "old", "old", 1)
    fixed = found.space
    assert TrialSettings(**fixed.defaults()) == SETTINGS
    assert fixed.searched() == []
    assert found.cut == 4  # what the study's other trials learned from too: the numbers are to be the same


def test_where_the_space_has_no_layers_to_unfreeze_the_trial_says_how_many(studies: Path, tmp_path: Path) -> None:
    shutil.copytree(studies / "old", tmp_path / "old")
    space = SearchSpace(parameters={"epochs": Fixed(value=4)})
    StudyRecord("old", "d", 1, deciding(SearchSettings(), space) | {AFFORDABLE: "none"}).write(tmp_path / "old")
    assert find_trial(tmp_path, "old/0").cut == 0


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("old", SettingsError, "named STUDY/NUMBER"),
        ("old/x", SettingsError, "named STUDY/NUMBER"),
        ("../old/0", SettingsError, "named STUDY/NUMBER"),
        ("odl/0", StorageError, "did you mean 'old'"),
        ("old/2", StorageError, "the trials 0 to 1; received 2"),
        ("old/1", SettingsError, "--resume"),
    ],
)
def test_what_is_no_trial_is_told(studies: Path, name: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        find_trial(studies, name)


def test_other_pictures_or_weights_are_refused(studies: Path) -> None:
    found = find_trial(studies, "old/0")
    found.check_data("def")
    with pytest.raises(SettingsError, match="on the pictures of its study"):
        found.check_data("ghi")
    found.check_weights({"weights.mobilenet_v2_0.35": "file 1"})
    with pytest.raises(SettingsError, match="were file 1 in 'old' and are now none"):
        found.check_weights({})


def test_a_longer_trial_keeps_its_seed(tmp_path: Path) -> None:
    data = {("cnn", "native"): TrialData(tmp_path, (8, 8), 3, 2)}  # type: ignore[arg-type]
    short, long = (TrialSettings(epochs=epochs) for epochs in (4, 9))

    def seed(settings: TrialSettings, epochs: int | None) -> int:
        context = TrialContext(tmp_path, 0, data, 1, 1, 0, 10, seed_epochs=epochs)
        job = context.job(settings)
        assert job.settings == settings
        return job.seed

    assert seed(long, 4) == seed(short, None) != seed(long, None)


def test_it_gets_the_share_that_it_had_in_its_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8})
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 8.0}}])
    one = SearchSettings(trials=1)
    assert plan_resources(one).cpus == 8
    assert plan_resources(one, shared_by=30) == plan_resources(SearchSettings(trials=30)).__class__(1, 1, 1, 0)
    assert plan_resources(one.model_copy(update={"concurrency": 2}), shared_by=30).cpus == 4
    # A smaller cluster than the study's is no reason to refuse one trial.
    assert plan_resources(one.model_copy(update={"concurrency": 16}), shared_by=30).cpus == 1


def test_a_fine_tuning_trial_needs_the_head_that_it_starts_from(tmp_path: Path) -> None:
    tuned = SETTINGS.model_copy(update={"from_trial": 2, "unfrozen_layers": 4})
    found = find_trial(old_study(tmp_path, settings=tuned), "old/0")
    assert found.space.defaults()["from_trial"] == 2
    with pytest.raises(SettingsError, match="starts from the head of trial 2, whose weights are no longer in"):
        found.check_start()
    head = weights_file(tmp_path / "old", 2)
    head.parent.mkdir()
    head.write_bytes(b"weights")
    found.check_start()
    data = {(tuned.backbone, tuned.image_size): TrialData(tmp_path, (8, 8), 3, 2)}  # type: ignore[arg-type]
    context = TrialContext(tmp_path / "again", 0, data, 1, 1, 0, 10, starts=found.folder)
    assert context.job(tuned).start == b"weights"
