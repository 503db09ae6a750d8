"""A trial again: what the job is made of. That its curve is the study's is shown in test_pipeline.py."""

from pathlib import Path

import pytest

from imgcls_ray.config import PreprocessSettings, RunSettings, SearchSettings, TrialSettings
from imgcls_ray.config.saving import write_settings
from imgcls_ray.errors import SettingsError
from imgcls_ray.pipeline.fitting import settings_again
from imgcls_ray.pipeline.plan import SETTINGS as FILE
from imgcls_ray.pipeline.plan import make_plan
from tests.search.made import old_study

TRIAL = TrialSettings(backbone="cnn", image_size="16", cnn_blocks=2, dropout=0.25, epochs=4)


@pytest.fixture
def storage(tmp_path: Path, pictures: Path) -> Path:
    """A storage with the study `old` of these pictures."""
    study = old_study(tmp_path / "studies", str(pictures), TRIAL) / "old"
    search = SearchSettings(trials=3, seed=5, scheduler="median", backbones=("cnn",), objective="val_loss")
    before = RunSettings(data="elsewhere", search=search, preprocess=PreprocessSettings(colorspace="grayscale"))
    write_settings(study / FILE, before)
    return tmp_path


def test_the_job_is_the_trial_and_nothing_else(storage: Path, pictures: Path) -> None:
    settings, found = settings_again("old/0", str(storage), study="again")
    assert settings.data == str(pictures)
    assert settings.preprocess.colorspace == "grayscale"
    search = settings.search
    assert (search.trials, search.seed, search.objective, search.scheduler) == (1, 5, "val_loss", "none")
    plan = make_plan(settings)
    assert TrialSettings(**plan.space.defaults()) == found.settings == TRIAL
    assert plan.space.searched() == []
    assert list(plan.sizes) == [("cnn", "16")]
    assert plan.record.parts["from_trial"] == "old/0"


def test_more_epochs_and_another_seed(storage: Path) -> None:
    settings, _ = settings_again("old/0", str(storage), epochs=9, seed=6)
    assert (settings.search.seed, settings.study is not None and settings.study.startswith("old-trial-0-")) == (6, True)
    assert TrialSettings(**make_plan(settings).space.defaults()) == TRIAL.model_copy(update={"epochs": 9})
    with pytest.raises(SettingsError, match="its 4 epochs, or with more; received 3"):
        settings_again("old/0", str(storage), epochs=3)
