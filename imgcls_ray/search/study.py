"""A study: trials of one search space on one data set, run by Tune."""

import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial
from ray import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.stopper import Stopper

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import Interrupted, TrainingError
from imgcls_ray.search.choice import choose
from imgcls_ray.search.continuing import best_first
from imgcls_ray.search.interruption import Interruption
from imgcls_ray.search.journal import ASKED, RESULT, Earlier, earlier, note_study, open_journal
from imgcls_ray.search.listener import Listeners, StudyInfo, StudyListener, StudyOutcome, TrialOutcome, rank
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.proposals import Proposals
from imgcls_ray.search.remember import Remembering
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.sampler import INTERRUPTED, OptunaSampler
from imgcls_ray.search.scheduler import build_scheduler, describe_scheduler
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.trainable import LIVES, TrialContext, TrialTrainable
from imgcls_ray.training.job import TrialData

FIRST = 3
"""The best trials of the study that is continued from, which are tried again first."""
WEIGHTS_KEPT = 5
"""Best trials whose weights stay on disk after a study, beside those of the defaults."""


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
    before: tuple[FrozenTrial, ...] = ()
    """Trials of another study, as trials of this space; see `search.continuing`."""

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
            checkpoint_seconds=self.settings.checkpoint_seconds,
        )


def run_study(study: Study, listener: StudyListener) -> StudyOutcome:
    """Run a study to its end, or to where Ctrl-C ends it.

    What an earlier start left is taken up: trials that ended count, one that was cut off keeps its number and goes on
    from its checkpoint. Whoever calls holds `sole_driver`.

    Raises:
        Interrupted: Ctrl-C or SIGTERM, before any trial had a score.
        TrainingError: no trial ended with a score.
    """
    settings, share = study.settings, study.resources
    context, objective = study.context(), Objective(settings.objective)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna_study = optuna.create_study(
        storage=open_journal(study.folder),
        study_name=study.info.name,
        direction=objective.direction,
        load_if_exists=True,
    )
    left = earlier(optuna_study)
    going_on = _going_on(context, left)
    first = best_first(study.before, optuna_study.direction)[:FIRST]
    proposals = Proposals(optuna_study, study.space, settings, share.concurrency, study.before, first)
    trials = min(settings.trials, proposals.size or settings.trials)
    deadline = time.monotonic() + settings.time_budget if settings.time_budget else math.inf
    epochs = study.space.highest("epochs")
    info = replace(study.info, trials=trials, objective=objective)
    note_study(optuna_study, ASKED, {"settings": info.settings, "data": info.data, "trials": trials, "epochs": epochs})
    note_study(optuna_study, RESULT, {})  # that of a start before this one, which is taken up
    listener.study_started(info)
    if trials < settings.trials:
        listener.study_told(f"the space has {trials} different settings: no more trials than that")
    listener.study_told(describe_scheduler(settings, epochs, trials))
    if left.ended or left.cut_off:
        cut_off = (
            f"; {len(left.cut_off)} were cut off, {len(going_on)} of them have a checkpoint" if left.cut_off else ""
        )
        listener.study_told(f"{len(left.ended)} trials had ended before{cut_off}")
    for restored in left.ended:
        listener.trial_restored(restored, left.values[restored.number])
    told = Listeners([_Tidy(context), listener])
    with Interruption() as interruption:
        sampler = OptunaSampler(proposals, objective, trials, share.concurrency, deadline, told, left, interruption)
        scheduler = Remembering(build_scheduler(settings, epochs), settings.objective, left.values, going_on)
        if not sampler.is_finished:
            _run_tune(study, sampler, scheduler, _End(deadline, interruption))
        for running in sampler.running():
            told.trial_ended(running)
    if proposals.duplicates:
        listener.study_told(f"{proposals.duplicates} times settings were proposed again, and not trained again")
    outcome = _outcome(study, sampler, interruption.requested)
    if not outcome.interrupted:
        _drop_weights(context, outcome)
    listener.study_ended(outcome)
    return outcome


def _going_on(context: TrialContext, left: Earlier) -> dict[int, dict[int, float]]:
    """Of the cut-off trials that have a checkpoint: the values of the epochs that they will not report again."""
    found = {}
    for trial in left.cut_off:
        kept = context.checkpoint(trial.number).read()
        if kept:
            last = kept[0].epoch
            values = trial.intermediate_values
            found[trial.number] = {epoch: value for epoch, value in values.items() if epoch < last}
    for outcome in left.ended:  # a kill may have come between a trial's end and this
        context.checkpoint(outcome.number).remove()
    return found


class _Tidy(StudyListener):
    """A trial that ended needs no checkpoint."""

    def __init__(self, context: TrialContext) -> None:
        self._context = context

    def trial_ended(self, outcome: TrialOutcome) -> None:
        if outcome.reason != INTERRUPTED:
            self._context.checkpoint(outcome.number).remove()


def _run_tune(study: Study, sampler: OptunaSampler, scheduler: TrialScheduler, stopper: Stopper) -> None:
    # Tune's own reporter and warnings would drown ours; the listener tells everything.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    # Its handler of Ctrl-C would wait for running epochs for as long as they take; see `Interruption`.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
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
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            # A folder of its own for each start: Tune's state is not what a study is taken up from.
            name=f"tune-{int(time.time())}",
            storage_path=str(study.folder.resolve()),
            verbose=0,
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=LIVES),
        ),
    )
    tuner.fit()


def _trial_name(trial: Trial) -> str:
    return f"trial-{trial.config['number']:04}"


class _End(Stopper):
    """Ends every trial at its next epoch once time is over or Ctrl-C came; epochs that take too long, at once."""

    def __init__(self, deadline: float, interruption: Interruption) -> None:
        self._deadline, self._interruption = deadline, interruption

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:  # noqa: ARG002 - Tune's signature
        return self._interruption.requested or time.monotonic() > self._deadline

    def stop_all(self) -> bool:
        return self._interruption.impatient


def _outcome(study: Study, sampler: OptunaSampler, interrupted: bool) -> StudyOutcome:
    outcomes = tuple(sorted([*sampler.outcomes, *sampler.running()], key=lambda outcome: outcome.number))
    scored = [outcome for outcome in outcomes if outcome.value is not None and outcome.state != "failed"]
    if not scored and interrupted:
        raise Interrupted("interrupted before any trial had a score; the same command with --resume goes on from here.")
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
        interrupted=interrupted,
    )


def _drop_weights(context: TrialContext, outcome: StudyOutcome) -> None:
    scored = [trial for trial in outcome.trials if trial.metrics]
    scored.sort(key=lambda trial: rank(trial, outcome.objective), reverse=True)
    kept = {outcome.best.number, 0, *(trial.number for trial in scored[:WEIGHTS_KEPT])}
    for trial in outcome.trials:
        if trial.number in kept:
            continue
        context.weights_path(trial.number).unlink(missing_ok=True)
