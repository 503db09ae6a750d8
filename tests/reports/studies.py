"""Studies as a search leaves them in its journal, made up in memory."""

import math
import random

import optuna
from optuna.trial import TrialState

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.journal import ASKED, RESULT, note_outcome, note_study
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.space import SearchSpace

EPOCHS = 20
SPACE = SearchSpace.model_validate(
    {
        "parameters": {
            "backbone": {"type": "choice", "values": ["cnn", "mobilenet_v2_1.0"], "default": "cnn"},
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True, "default": 1e-3},
            "dropout": {"type": "float", "low": 0, "high": 0.5, "step": 0.1, "default": 0.2},
            "cnn_width": {"type": "int", "low": 8, "high": 64, "log": True, "default": 32, "when": {"backbone": "cnn"}},
            "head_layers": {"type": "int", "low": 0, "high": 2, "default": 0, "unless": {"backbone": "cnn"}},
            "epochs": {"type": "fixed", "value": EPOCHS},
        }
    }
)
"""A learning rate that decides, and two parameters that not all trials have."""
INTERVAL = {"value": 0.9, "low": 0.85, "high": 0.94}
RESULT_OF_IT = {
    "used": 0,
    "test": {"accuracy": 0.8123, "f1_macro": 0.8, "loss": 0.5, "images": 200},
    "certainty": {
        "figure": "accuracy",
        "pictures": 131,
        "trials": [{"trial": 2, "value": INTERVAL, "gap": {"value": 0.02, "low": -0.01, "high": 0.05}}],
        "defaults": {"trial": 0, "value": {"value": 0.88, "low": 0.83, "high": 0.92}, "gap": None},
    },
}


def made(
    trials: int,
    failed: int = 0,
    name: str = "made",
    direction: str = "maximize",
    storage: optuna.storages.BaseStorage | None = None,
) -> optuna.Study:
    """A study of so many trials, the last `failed` of which failed; most others are stopped after epoch 2 or 6."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(direction=direction, study_name=name, sampler=sampler, storage=storage)
    metric = "val_loss" if direction == "minimize" else "val_accuracy"
    settings = {"search.objective": metric, "search.scheduler": "asha", "search.sampler": "random"}
    settings |= {"search.space": "quick", "search.seed": "0", "search.time_budget": "60.0"}
    data = {"name": "pets & <b>more</b>", "fingerprint": "ab" * 32, "classes": "cat, dog"}
    data |= {"train": "1000", "val": "131", "test": "200"}
    note_study(study, ASKED, {"settings": settings, "data": data, "trials": trials, "epochs": [EPOCHS]})
    chance = random.Random(0)
    for number in range(trials):
        if number == 0:
            study.enqueue_trial(SPACE.defaults())
        trial = study.ask()
        _train(study, trial, SPACE.suggest(trial), chance, number >= trials - failed)
    return study


def _train(
    study: optuna.Study, trial: optuna.Trial, settings: TrialSettings, chance: random.Random, fails: bool
) -> None:
    sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
    end = 0.9 - 0.1 * abs(math.log10(settings.learning_rate) + 2.5) - 0.1 * settings.dropout
    epochs = next((epoch for epoch in (2, 6) if trial.number and chance.random() < 0.6), EPOCHS)
    values = [sign * end * (1 - math.exp(-epoch / 3)) for epoch in range(1, (0 if fails else epochs) + 1)]
    for epoch, value in enumerate(values, 1):
        trial.report(value, epoch)
    if fails:
        reason = "the loss is no longer a number"
        note_outcome(trial, TrialOutcome(trial.number, "failed", None, settings, 0, 1.0, {}, reason), 0.0)
        study.tell(trial, 0.0)
        return
    value = values[-1]
    metrics = {"val_accuracy": value, "val_loss": 1 - value}
    pruned = epochs < EPOCHS
    outcome = TrialOutcome(
        trial.number, "pruned" if pruned else "complete", value, settings, epochs, epochs / 10, metrics
    )
    note_outcome(trial, outcome, None if pruned else value)
    study.tell(trial, None if pruned else value, state=TrialState.PRUNED if pruned else TrialState.COMPLETE)


def finished(study: optuna.Study) -> optuna.Study:
    """The same with what its end leaves; a network's size is made up, one for each width and depth."""
    sizes = {
        str(trial.number): 250_000 * trial.params.get("cnn_width", 8) + 9_000 * trial.params.get("head_layers", 0)
        for trial in study.get_trials(deepcopy=False)
    }
    note_study(study, RESULT, RESULT_OF_IT | {"parameters": sizes})
    return study
