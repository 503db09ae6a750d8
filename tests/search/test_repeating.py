from pathlib import Path

import optuna
import pytest

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.errors import SettingsError, StorageError
from imgcls_ray.search.journal import note_outcome, open_journal
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.parameters import Choice, Fixed
from imgcls_ray.search.record import AFFORDABLE, FINGERPRINT, StudyRecord, deciding
from imgcls_ray.search.repeating import find_trial, values_of
from imgcls_ray.search.resources import plan_resources
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.trainable import TrialContext
from imgcls_ray.training.job import TrialData

SETTINGS = TrialSettings(backbone="mobilenet_v2_0.35", unfrozen_layers=0, views=0, dropout=0.25, epochs=4)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study: trial 0 was stopped after two of its four epochs, trial 1 was cut off by a kill."""
    root = tmp_path_factory.mktemp("studies")
    space = load_space("quick").narrowed(SearchSettings(backbones=("mobilenet_v2_0.35",)))
    last = Choice(type="choice", values=[0, 4], default=4).model_dump_json()
    parts = deciding(SearchSettings(), space) | {
        AFFORDABLE: last,
        FINGERPRINT: "abc def",
        "weights.mobilenet_v2_0.35": "file 1",
        "space.constraints.memory_mb": "not a parameter",
    }
    StudyRecord("old", "/pictures", 3, parts).write(root / "old")
    study = optuna.create_study(storage=open_journal(root / "old"), study_name="old", direction="maximize")
    for number in range(2):
        trial = study.ask()
        for epoch, value in ((1, 0.5), (2, 0.625)):
            trial.report(value, epoch)
        if number == 0:
            note_outcome(trial, TrialOutcome(0, "pruned", 0.625, SETTINGS, 2, 1.0), None)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return root


def test_it_has_the_settings_the_curve_and_the_space_of_its_study(studies: Path) -> None:
    found = find_trial(studies, "old/0")
    assert found.name == "old/0"
    assert found.settings == SETTINGS
    assert found.values == {1: 0.5, 2: 0.625} == values_of(studies / "old", "old", 1)
    fixed = found.space
    assert TrialSettings(**fixed.defaults()) == SETTINGS
    assert fixed.searched() == []
    # What is kept of the frozen layers is for the study's other trials too: its numbers are to be the same.
    assert (found.study_space.highest("unfrozen_layers"), found.study_space.highest("views")) == (4, 3)


def test_a_study_without_a_choice_of_layers_can_be_read_too(studies: Path, tmp_path: Path) -> None:
    space = SearchSpace(parameters={"epochs": Fixed(value=4)})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "journal.log").write_bytes((studies / "old" / "journal.log").read_bytes())
    StudyRecord("old", "d", 1, deciding(SearchSettings(), space) | {AFFORDABLE: "none"}).write(tmp_path / "old")
    assert find_trial(tmp_path, "old/0").study_space == space


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
    one = SearchSettings(trials=1)
    assert plan_resources(one).cpus == 8
    assert plan_resources(one, shared_by=30) == plan_resources(SearchSettings(trials=30)).__class__(1, 1, 1, 0)
    assert plan_resources(one.model_copy(update={"concurrency": 2}), shared_by=30).cpus == 4
    # A smaller cluster than the study's is no reason to refuse one trial.
    assert plan_resources(one.model_copy(update={"concurrency": 16}), shared_by=30).cpus == 1
