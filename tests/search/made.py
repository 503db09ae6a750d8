"""A study made by hand, as a search would have left it."""

from pathlib import Path

import optuna

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.journal import note_outcome, open_journal
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.parameters import Choice
from imgcls_ray.search.record import AFFORDABLE, FINGERPRINT, StudyRecord, deciding

SETTINGS = TrialSettings(backbone="mobilenet_v2_0.35", unfrozen_layers=0, views=0, dropout=0.25, epochs=4)


def old_study(studies: Path, data: str = "/pictures", settings: TrialSettings = SETTINGS) -> Path:
    """Make the study `old` below `studies`: trial 0 was stopped after two of its four epochs, 1 was cut off."""
    space = load_space("quick").narrowed(SearchSettings(backbones=("mobilenet_v2_0.35",)))
    parts = deciding(SearchSettings(), space) | {
        AFFORDABLE: Choice(type="choice", values=[0, 4], default=4).model_dump_json(),
        FINGERPRINT: "abc def",
        "weights.mobilenet_v2_0.35": "file 1",
    }
    StudyRecord("old", data, 3, parts).write(studies / "old")
    study = optuna.create_study(storage=open_journal(studies / "old"), study_name="old", direction="maximize")
    for number in range(2):
        trial = study.ask()
        for epoch, value in ((1, 0.5), (2, 0.625)):
            trial.report(value, epoch)
        if number == 0:
            note_outcome(trial, TrialOutcome(0, "pruned", 0.625, settings, 2, 1.0), None)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return studies
