"""A study: trials of one search space on one data set, run by Tune."""

import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend
from ray import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.stopper import Stopper

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import StorageError, TrainingError
from imgcls_ray.search.choice import choose
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome, rank
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.sampler import OptunaSampler, build_sampler
from imgcls_ray.search.scheduler import Asha
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.trainable import TrialContext, TrialTrainable
from imgcls_ray.training.job import TrialData

WEIGHTS_KEPT = 5
"""Best trials whose weights stay on disk after a study."""


@dataclass(frozen=True)
class Study:
    """Where a study lives and what it needs."""

    info: StudyInfo
    folder: Path
    space: SearchSpace
    settings: SearchSettings
    data: Mapping[tuple[str, str], TrialData]
    resources: TrialResources
    validation: int
    """Pictures in the validation split."""

    def context(self) -> TrialContext:
        """What its trials share."""
        share = self.resources
        return TrialContext(
            folder=self.folder,
            seed=self.settings.seed,
            data=self.data,
            workers=share.workers,
            cpus=share.cpus,
            gpus=share.gpus,
            validation=self.validation,
            objective=Objective(self.settings.objective),
        )


def run_study(study: Study, listener: StudyListener) -> StudyOutcome:
    """Run a new study to its end.

    Raises:
        StorageError: a study of this name is there already.
        TrainingError: no trial ended with a score.
    """
    journal = study.folder / "journal.log"
    if journal.exists():
        raise StorageError(f"A study named '{study.info.name}' is there already: choose another name with --study.")
    study.folder.mkdir(parents=True, exist_ok=True)
    settings, share = study.settings, study.resources
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    optuna_study = optuna.create_study(
        storage=storage,
        sampler=build_sampler(settings.seed, share.concurrency),
        study_name=study.info.name,
        direction=Objective(settings.objective).direction,
    )
    deadline = time.monotonic() + settings.time_budget if settings.time_budget else math.inf
    sampler = OptunaSampler(optuna_study, study.space, settings.trials, share.concurrency, deadline, listener)
    listener.study_started(study.info)
    _run_tune(study, sampler, deadline)
    outcome = _outcome(study, sampler)
    _drop_weights(study.context(), outcome)
    listener.study_ended(outcome)
    return outcome


def _run_tune(study: Study, sampler: OptunaSampler, deadline: float) -> None:
    # Tune's own reporter and warnings would drown ours; the listener tells everything.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    share = study.resources
    # One pending trial, Tune's default, is too few for `Asha.choose_trial_to_run`; the sampler is the bound.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(share.concurrency)
    # The trial that drives a gang takes no CPU: its workers do.
    # (A placement group must ask for something: one byte.)
    own = {"CPU": 0, "memory": 1} if share.workers > 1 else {"CPU": share.cpus, "GPU": share.gpus}
    trainable = tune.with_resources(
        tune.with_parameters(TrialTrainable, context=study.context()),
        PlacementGroupFactory([{name: float(amount) for name, amount in own.items() if amount or name == "CPU"}]),
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=sampler,
            scheduler=Asha(study.space.highest("epochs")),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(study.folder.resolve()),
            verbose=0,
            stop=_OutOfTime(deadline),
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    tuner.fit()


def _trial_name(trial: Trial) -> str:
    return f"trial-{trial.config['number']:04}"


class _OutOfTime(Stopper):
    """Ends every trial at its next epoch once time is over."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:  # noqa: ARG002 - Tune's signature
        return time.monotonic() > self._deadline

    def stop_all(self) -> bool:
        return False


def _outcome(study: Study, sampler: OptunaSampler) -> StudyOutcome:
    outcomes = tuple(sorted(sampler.outcomes, key=lambda outcome: outcome.number))
    scored = [outcome for outcome in outcomes if outcome.value is not None and outcome.state != "failed"]
    if not scored:
        # (A full disk is in these reasons too, and is told from there: see `storage.writing`.)
        reasons = "; ".join(sorted({outcome.reason for outcome in outcomes if outcome.reason})) or "none was started"
        raise TrainingError(f"None of {len(outcomes)} trials ended with a score: {reasons}.")
    objective = Objective(study.settings.objective)
    defaults = next((outcome for outcome in outcomes if outcome.number == 0), None)
    best, noise = choose(scored, defaults, study.validation, objective)
    return StudyOutcome(
        name=study.info.name,
        trials=outcomes,
        best=best,
        defaults=defaults,
        noise=noise,
        objective=objective,
        seconds=sampler.last_report - sampler.first_suggestion,
    )


def _drop_weights(context: TrialContext, outcome: StudyOutcome) -> None:
    scored = [trial for trial in outcome.trials if trial.metrics]
    scored.sort(key=lambda trial: rank(trial, outcome.objective), reverse=True)
    kept = {outcome.best.number, *(trial.number for trial in scored[:WEIGHTS_KEPT])}
    for trial in outcome.trials:
        if trial.number in kept:
            continue
        context.weights_path(trial.number).unlink(missing_ok=True)
