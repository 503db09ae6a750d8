"""One trial of a study, trained again: to be repeated, or for longer. It is a study of its own, with this one trial."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgcls_ray.config import RunSettings, SearchSettings, load_settings
from imgcls_ray.errors import Interrupted, SettingsError
from imgcls_ray.pipeline.job import run
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.pipeline.plan import SETTINGS
from imgcls_ray.pipeline.result import RunResult
from imgcls_ray.search.curve import Comparison
from imgcls_ray.search.repeating import RepeatedTrial, find_trial, values_of
from imgcls_ray.storage import Storage, folder_name
from imgcls_ray.tracking.lookup import trial_of


@dataclass(frozen=True)
class FitResult:
    """What came of a trial that was trained again."""

    trial: RepeatedTrial
    """As it was in its study."""
    curve: Comparison
    run: RunResult
    """Of the study that trained it; its one trial is number 0."""

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls fit --json` prints: what `imgcls run` prints, and the comparison."""
        return {"from_trial": self.trial.name, "curve": self.curve.to_json(), **self.run.to_json()}


def fit(
    trial: str,
    storage: str = "./imgcls-runs",
    epochs: int | None = None,
    seed: int | None = None,
    study: str | None = None,
    address: str | None = None,
    tracking_uri: str | None = None,
    listener: RunListener | None = None,
) -> FitResult:
    """Train a trial of a study in `storage` again, from its beginning, measure it on the test split and register it.

    The settings, pictures, embeddings and the seed are the study's, so its curve is too, to the last bit with one
    worker on one CPU. A trial that was stopped early goes to its end this time.

    Args:
        trial: `STUDY/NUMBER`, or the id of the trial's run in MLflow.
        storage: the root that the study lies under.
        epochs: more than the trial had, for longer training; a schedule is drawn over them all. By default as many.
        seed: another one than the study's: other first weights and another order of the pictures.
        study: name of what comes of it; by default that of the trial's study, the number and the time.
        address: Ray cluster to join, by default as `RunSettings.address`.
        tracking_uri: MLflow, by default the study's.
        listener: is told each step.

    Raises:
        InputError: there is no such trial, or its pictures or weights are no longer what they were.
        Interrupted: Ctrl-C or SIGTERM ended it before an epoch had.
        TrainingError: it has no score, as when its loss is no longer a number.
    """
    settings, found = settings_again(trial, storage, epochs, seed, study, address, tracking_uri)
    try:
        result = run(settings, listener)
    except Interrupted as error:
        raise Interrupted(
            f"interrupted before an epoch ended; 'imgcls run {settings.data} --study {settings.study} --resume' with "
            "the same --storage goes on from here."
        ) from error
    here = values_of(Storage.open(storage).study(result.study.name), result.study.name, 0)
    curve = Comparison(found.values, here, found.outcome.metrics, result.study.best.metrics)
    return FitResult(found, curve, result)


def settings_again(
    trial: str,
    storage: str,
    epochs: int | None = None,
    seed: int | None = None,
    study: str | None = None,
    address: str | None = None,
    tracking_uri: str | None = None,
) -> tuple[RunSettings, RepeatedTrial]:
    """The settings of the job that trains a trial again, and that trial; arguments and errors as those of `fit`."""
    root = Storage.open(storage)
    name = trial if re.fullmatch(r"[0-9a-f]{32}", trial) is None else trial_of(trial, root.root, tracking_uri)
    found = find_trial(root.studies, name)
    before = load_settings(RunSettings, root.study(found.record.name) / SETTINGS)
    if epochs is not None and epochs < found.settings.epochs:
        raise SettingsError(
            f"A trial is repeated with its {found.settings.epochs} epochs, or with more; received {epochs}: raise "
            "--epochs or leave it out."
        )
    old = before.search
    search = SearchSettings(
        objective=old.objective,
        trials=1,
        scheduler="none",
        epochs=epochs,
        concurrency=old.concurrency,
        workers=old.workers,
        checkpoint_seconds=old.checkpoint_seconds,
        seed=old.seed if seed is None else seed,
    )
    number, time = found.outcome.number, datetime.now().strftime("%Y%m%d-%H%M%S")
    tracking = before.tracking.model_copy(update={"uri": tracking_uri} if tracking_uri else {})
    return before.model_copy(
        update={
            "data": found.record.data,
            "storage": storage,
            "study": study or f"{folder_name(found.record.name)}-trial-{number}-{time}",
            "resume": False,
            "continue_from": None,
            "from_trial": found.name,
            "address": address or before.address,
            "search": search,
            "tracking": tracking,
        }
    ), found
