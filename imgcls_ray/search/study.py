"""A study: trials of one search space on one data set, run by Tune."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.errors import Interrupted, TrainingError
from imgcls_ray.search.admission import admission
from imgcls_ray.search.budget import Budget
from imgcls_ray.search.choice import choose
from imgcls_ray.search.constraints import Inputs
from imgcls_ray.search.continuing import best_first, with_second
from imgcls_ray.search.finetuning import STARTS, FineTuning, choose_starts, earlier_starts
from imgcls_ray.search.interruption import Interruption
from imgcls_ray.search.journal import ASKED, RESULT, Earlier, earlier, note_study, noted_values, open_journal
from imgcls_ray.search.listener import Listeners, StudyInfo, StudyListener, StudyOutcome, TrialOutcome, rank
from imgcls_ray.search.objective import Objective, Second, directions, second_of
from imgcls_ray.search.parameters import AnyParameter
from imgcls_ray.search.proposals import Proposals
from imgcls_ray.search.remember import Remembering
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.sampler import INTERRUPTED, OptunaSampler
from imgcls_ray.search.scheduler import build_scheduler, describe_scheduler
from imgcls_ray.search.second import second_values
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.trainable import TrialContext, TrialTrainable
from imgcls_ray.search.tuning import End, run_tune
from imgcls_ray.training.job import TrialData

FIRST = 3
"""The best trials of the study that is continued from, which are tried again first."""
WEIGHTS_KEPT = 8
"""Best trials whose weights stay on disk after a study, beside those of the defaults and of its front: an
ensemble is chosen among them."""

Data = Mapping[tuple[str, str], TrialData]
"""By backbone and image size, as the search space writes them."""
Prepare = Callable[[Mapping[int, TrialSettings]], tuple[Mapping[str, AnyParameter], Data]]
"""From the settings of the probe trials that are fine-tuned, by number, to the parameters and the data of that."""


@dataclass(frozen=True)
class Study:
    """Where a study lives and what it needs."""

    info: StudyInfo
    folder: Path
    space: SearchSpace
    settings: SearchSettings
    data: Data
    resources: TrialResources
    validation: int
    """Pictures in the validation split."""
    before: tuple[FrozenTrial, ...] = ()
    """Trials of another study, as trials of this space; see `search.continuing`."""
    trainable: type[TrialTrainable] = TrialTrainable
    """Who runs a trial; tests and benchmarks have others, which only pretend to."""
    seed_epochs: int | None = None
    """See `TrialContext`."""
    starts: Path | None = None
    """See `TrialContext`."""
    prepare: Prepare | None = None
    """What the second stage trains with; None where there is no second stage."""
    tuned: Data = field(default_factory=dict)
    """The data of the second stage's trials, once it has begun."""

    @property
    def objective(self) -> Objective:
        """What is made better."""
        return Objective(self.settings.objective)

    @property
    def second(self) -> Second | None:
        """What is made smaller beside it."""
        return second_of(self.settings.second_objective)

    @property
    def inputs(self) -> Inputs:
        """What its networks are built for."""
        return {place: data.input for place, data in self.data.items()}

    def context(self) -> TrialContext:
        """What its trials share."""
        share = self.resources
        return TrialContext(
            folder=self.folder,
            seed=self.settings.seed,
            data=self.data,
            tuned=self.tuned,
            workers=share.workers,
            cpus=share.cpus,
            gpus=share.gpus,
            validation=self.validation,
            objective=self.objective,
            checkpoint_seconds=self.settings.checkpoint_seconds,
            seed_epochs=self.seed_epochs,
            starts=self.starts,
        )


def run_study(study: Study, listener: StudyListener) -> StudyOutcome:
    """Run a study to its end, or to where Ctrl-C ends it.

    What an earlier start left is taken up: trials that ended count, one that was cut off keeps its number and goes on
    from its checkpoint. Whoever calls holds `sole_driver`.

    Raises:
        Interrupted: Ctrl-C or SIGTERM, before any trial had a score.
        TrainingError: no trial ended with a score.
    """
    settings, objective, second = study.settings, study.objective, study.second
    context = study.context()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna_study = optuna.create_study(
        storage=open_journal(study.folder),
        study_name=study.info.name,
        directions=directions(objective, second),
        load_if_exists=True,
    )
    value_of = None
    if second:
        value_of = second_values(second, study.space, study.inputs, study.folder, listener.study_told)
    before = with_second(study.before, study.space, value_of) if value_of else study.before
    left = earlier(optuna_study)
    going_on = _going_on(context, left)
    starts = earlier_starts(optuna_study)
    budget = Budget.of(settings, 1 if study.prepare is None else 2)
    first = [trial.params for trial in best_first(before, optuna_study.directions[0])[:FIRST]]
    probe = _Stage(study, optuna_study, study.space, context, left, value_of, before, first)
    # A second stage that has begun is the one that goes on, however many trials there may be now.
    probe.bound(probe.proposals.suggested if starts else budget.probes)
    trials = probe.trials if study.prepare is None else settings.trials
    staged = study.prepare is not None
    info = replace(study.info, trials=trials, objective=objective, second=second, staged=staged)
    asked = {"settings": info.settings, "data": info.data, "trials": trials, "epochs": [study.space.highest("epochs")]}
    note_study(optuna_study, ASKED, asked)
    note_study(optuna_study, RESULT, {})  # that of a start before this one, which is taken up
    listener.study_started(info)
    if study.prepare:
        listener.study_told(budget.describe())
    elif study.space.finetune:
        listener.study_told("no second stage, as no backbone has weights: all trials train from scratch")
    if not starts:
        probe.tell(listener)
    if left.ended or left.cut_off:
        cut_off = (
            f"; {len(left.cut_off)} were cut off, {len(going_on)} of them have a checkpoint" if left.cut_off else ""
        )
        listener.study_told(f"{len(left.ended)} trials had ended before{cut_off}")
    for restored in left.ended:
        listener.trial_restored(restored, left.values[restored.number])
    stages = [probe]
    told = Listeners([_Tidy(context), listener])
    with Interruption() as interruption:
        began = time.monotonic()
        probe.run(began + budget.probe_seconds, going_on, told, interruption)
        rest = budget.seconds - (time.monotonic() - began)
        if study.prepare and (starts or not interruption.requested):
            tuning = _second_stage(study, study.prepare, optuna_study, context, left, probe, listener)
            if tuning:
                tuning.run(time.monotonic() + rest, going_on, told, interruption)
                stages.append(tuning)
    outcome = _outcome(study, stages, interruption.requested)
    if not outcome.interrupted:
        _drop_weights(context, outcome)
    listener.study_ended(outcome)
    return outcome


class _Stage:
    """Trials of one space, which a study goes through one after another; the numbers go on."""

    def __init__(
        self,
        study: Study,
        optuna_study: optuna.Study,
        space: SearchSpace,
        context: TrialContext,
        left: Earlier,
        second: Callable[[TrialSettings], float] | None,
        before: Sequence[FrozenTrial] = (),
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`left` is what earlier starts of the whole study left, `second` gives the second objective's values; for
        `before` and `first` see `Proposals`."""
        self._study, self._space, self._context, self._left = study, space, context, left.of(space)
        self.second = second
        share = study.resources
        admits = admission(space, study.inputs, share.workers)
        self.proposals = Proposals(optuna_study, space, study.settings, share.concurrency, before, first, admits)
        self.trials = 0
        """Trials of this stage, those of earlier starts counted."""
        self.outcomes: list[TrialOutcome] = list(self._left.ended)
        self.seconds = 0.0
        """From the first suggestion to the last report."""

    def bound(self, trials: int) -> None:
        """It may have so many trials; a space with fewer settings ends it there."""
        self.trials = min(trials, self.proposals.size or trials)
        self._cut = self.trials < trials

    def tell(self, listener: StudyListener) -> None:
        """What it will do."""
        if self._cut:
            which = " that keep to its constraints" if self._space.constraints.bind else ""
            listener.study_told(f"the space has {self.trials} different settings{which}: no more trials than that")
        listener.study_told(describe_scheduler(self._study.settings, self._space.highest("epochs"), self.trials))

    def run(
        self,
        deadline: float,
        going_on: Mapping[int, Mapping[int, float]],
        told: StudyListener,
        interruption: Interruption,
    ) -> None:
        """Go through its trials, as far as there is time (`deadline` is one of `time.monotonic`)."""
        settings, left = self._study.settings, self._left
        sampler = OptunaSampler(
            self.proposals,
            self._study.objective,
            self.trials,
            self._study.resources.concurrency,
            deadline,
            told,
            left,
            interruption,
            self.second,
        )
        scheduler = Remembering(
            build_scheduler(settings, self._space.highest("epochs")), settings.objective, left.values, going_on
        )
        if not sampler.is_finished:
            run_tune(
                self._study.trainable,
                self._context,
                self._study.resources,
                sampler,
                scheduler,
                End(deadline, interruption),
            )
        for running in sampler.running():
            told.trial_ended(running)
        if self.proposals.duplicates:
            told.study_told(f"{self.proposals.duplicates} times settings were proposed again, and not trained again")
        if self.proposals.refused:
            told.study_told(
                f"{self.proposals.refused} times proposed settings broke a constraint, and were not trained"
            )
        self.outcomes = [*sampler.outcomes, *sampler.running()]
        self.seconds = sampler.last_report - sampler.first_suggestion


def _second_stage(
    study: Study,
    prepare: Prepare,
    optuna_study: optuna.Study,
    context: TrialContext,
    left: Earlier,
    probe: _Stage,
    listener: StudyListener,
) -> _Stage | None:
    """Fine-tuning from the best probe trials, or from those from which it began before; None where there are none."""
    trials = study.settings.trials - len(probe.outcomes)
    by_number = {outcome.number: outcome for outcome in probe.outcomes}
    starts = [by_number[number] for number in earlier_starts(optuna_study)]
    if not starts:
        candidates = [
            outcome
            for outcome in probe.outcomes
            if study.data[outcome.params.backbone, outcome.params.image_size].embeddings is not None
        ]
        starts = choose_starts(candidates, study.objective, min(trials, STARTS))
    if not starts:
        why = "no trial is left for it" if trials < 1 else "no trial of a backbone with weights has a score"
        listener.study_told(f"no second stage: {why}")
        return None
    from_trials = {outcome.number: outcome.params for outcome in starts}
    section, data = prepare(from_trials)
    space = FineTuning.of(study.space, section, from_trials)
    stage = _Stage(study, optuna_study, space, replace(context, tuned=data), left, probe.second, first=space.firsts())
    stage.bound(trials)
    asked = optuna_study.user_attrs[ASKED]
    note_study(optuna_study, ASKED, {**asked, "epochs": [*asked["epochs"], space.highest("epochs")]})
    numbers = ", ".join(map(str, from_trials))
    listener.study_told(f"fine-tuning starts from trial{'s' if len(from_trials) > 1 else ''} {numbers}")
    stage.tell(listener)
    return stage


def _going_on(context: TrialContext, left: Earlier) -> dict[int, dict[int, float]]:
    """Of the cut-off trials that have a checkpoint: the values of the epochs that they will not report again."""
    found = {}
    for trial in left.cut_off:
        kept = context.checkpoint(trial.number).read()
        if kept:
            last = kept[0].epoch
            values = noted_values(trial)
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


def _outcome(study: Study, stages: Sequence[_Stage], interrupted: bool) -> StudyOutcome:
    outcomes = tuple(sorted((trial for stage in stages for trial in stage.outcomes), key=lambda trial: trial.number))
    scored = [outcome for outcome in outcomes if outcome.value is not None and outcome.state != "failed"]
    if not scored and interrupted:
        raise Interrupted("interrupted before any trial had a score; the same command with --resume goes on from here.")
    if not scored:
        # (A full disk is in these reasons too, and is told from there: see `storage.writing`.)
        reasons = "; ".join(sorted({outcome.reason for outcome in outcomes if outcome.reason})) or "none was started"
        raise TrainingError(f"None of {len(outcomes)} trials ended with a score: {reasons}.")
    objective = study.objective
    zero = next((outcome for outcome in outcomes if outcome.number == 0), None)
    defaults = None if study.info.repeats else zero
    best, noise = choose(scored, defaults, study.validation, objective)
    return StudyOutcome(
        name=study.info.name,
        trials=outcomes,
        best=best,
        defaults=defaults,
        noise=noise,
        objective=objective,
        seconds=sum(stage.seconds for stage in stages),
        interrupted=interrupted,
        second=study.second,
    )


def _drop_weights(context: TrialContext, outcome: StudyOutcome) -> None:
    scored = [trial for trial in outcome.trials if trial.metrics]
    scored.sort(key=lambda trial: rank(trial, outcome.objective), reverse=True)
    leaders = filter(None, (outcome.best, outcome.probed, outcome.tuned))  # of each stage: it is measured by itself
    kept = {0, *(trial.number for trial in (*leaders, *scored[:WEIGHTS_KEPT], *outcome.front))}
    # Those from which others start stay as well: a fine-tuning trial can't be repeated without.
    kept |= {trial.params.from_trial for trial in outcome.trials if trial.params.from_trial is not None}
    for trial in outcome.trials:
        if trial.number in kept:
            continue
        context.weights_path(trial.number).unlink(missing_ok=True)
