"""The main job, one step after another. A step whose result is already there is not done again."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls_ray import quiet
from imgcls_ray.config import RunSettings, Size, flatten
from imgcls_ray.config.saving import without_users, write_settings
from imgcls_ray.data.files import first_missing, remove_empty, write_atomic
from imgcls_ray.data.index import INDEX
from imgcls_ray.data.preprocess import Preprocessed, preprocess, set_folder
from imgcls_ray.errors import DataError, InputError
from imgcls_ray.evaluation.certainty import Certainty
from imgcls_ray.evaluation.ensemble import Ensemble
from imgcls_ray.evaluation.metrics import Metrics
from imgcls_ray.jobs.connection import cluster
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.pipeline.noting import conditions, describe
from imgcls_ray.pipeline.plan import SETTINGS, Plan, is_prepared, make_plan
from imgcls_ray.pipeline.result import RunResult, Seconds, StageResult
from imgcls_ray.reports.page import REPORT, has_data_report, write_data_report
from imgcls_ray.search.admission import check_defaults
from imgcls_ray.search.journal import JOURNAL, LOCK, note_result, read_study, sole_driver
from imgcls_ray.search.listener import Listeners, StudyInfo, StudyOutcome
from imgcls_ray.search.record import AFFORDABLE, FINGERPRINT, RECORD, RESULT, known_study
from imgcls_ray.storage import writing
from imgcls_ray.tracking.registry import Registered

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from imgcls_ray.pipeline.stages import FineTuner
    from imgcls_ray.pipeline.winner import Winner
    from imgcls_ray.search.resources import TrialResources
    from imgcls_ray.search.study import Study
    from imgcls_ray.tracking.tracker import Tracker
    from imgcls_ray.training.job import TrialData


@dataclass
class _Clock:
    """Seconds since it was last asked."""

    last: float

    def lap(self) -> float:
        now = time.perf_counter()
        lap, self.last = now - self.last, now
        return lap


def run(settings: RunSettings, listener: RunListener | None = None) -> RunResult:
    """From pictures, or a preprocessed set, to a registered model.

    With `settings.resume` it takes up a study that was ended before its end, by whatever.

    Raises:
        Interrupted: Ctrl-C or SIGTERM ended the search before any trial had a score.
        ImgclsError: one of its kinds, with a sentence for the user; nothing is left half written.
    """
    listener = listener or RunListener()
    started = time.perf_counter()
    plan = make_plan(settings)
    folder = plan.storage.study(plan.study)
    made = first_missing(folder)
    with writing(plan.storage.root), sole_driver(folder):
        try:
            # First of all: from here on the study can be taken up.
            if not settings.resume:
                plan.record.write(folder)
                _write_settings(plan)
            with cluster(settings.address):
                return _run(plan, listener, started)
        except InputError:
            if not settings.resume and not (folder / JOURNAL).exists():
                _forget(folder, made)
            raise


def _forget(folder: Path, made: Path | None) -> None:
    """Free the name of a study that did not begin; `made` is the topmost folder that was made for it."""
    for name in (RECORD, SETTINGS, LOCK):
        (folder / name).unlink(missing_ok=True)
    remove_empty(folder, made)


def search(settings: RunSettings, listener: RunListener | None = None) -> RunResult:
    """The search alone: `run` on the preprocessed set in the folder `settings.data`.

    Raises:
        DataError: there is no preprocessed set.
        ImgclsError: as `run`.
    """
    if not is_prepared(settings.data):
        raise DataError(
            f"A search takes a preprocessed set, a folder with {INDEX}, which 'imgcls preprocess' makes; received "
            f"{settings.data}: for pictures use 'imgcls run'."
        )
    return run(settings, listener)


def _run(plan: Plan, listener: RunListener, started: float) -> RunResult:
    from imgcls_ray.search.resources import check_gpus, plan_resources

    resources = plan_resources(plan.settings.search, plan.repeated.record.trials if plan.repeated else None)
    check_gpus(resources)
    # Loaded here, so that a wrong request is told before TensorFlow is waited for.
    quiet.import_tensorflow()
    from imgcls_ray.pipeline.effort import affordable
    from imgcls_ray.pipeline.stages import Embedder, FineTuner
    from imgcls_ray.tracking.tracker import Tracker

    if plan.settings.resume:
        listener.step_started("resume", f"the study {plan.study}")
    check_defaults(plan.space, plan.inputs, resources.workers)
    clock = _Clock(time.perf_counter())
    sets = prepare(plan, listener)
    preprocess_seconds = clock.lap()
    space, note = affordable(plan, sets, resources.gpus > 0)
    check_defaults(space, plan.inputs, resources.workers)
    plan = replace(plan, space=space)
    embedder = Embedder(plan, sets, listener)
    tuner = FineTuner(plan, sets, embedder, listener, resources.gpus > 0)
    _check_record(plan, tuner, sets)
    data = embedder.data(plan.sizes, plan.cut, space.highest("views"), note)
    with Tracker(plan.storage.root, plan.settings.tracking) as tracker:
        found = _search(plan, sets, data, tuner, resources, tracker, listener)
    first = next(iter(sets.values()))
    result = RunResult(
        study=found.outcome,
        certainty=found.certainty,
        ensemble=found.ensemble,
        test=found.metrics,
        stages=found.stages,
        images=first.counts,
        workers=resources.workers,
        seconds=Seconds(
            preprocess=preprocess_seconds,
            embed=embedder.seconds,
            search=found.outcome.seconds,
            evaluate=found.evaluate_seconds,
            total=time.perf_counter() - started,
        ),
        name=plan.model_name,
        model=found.model,
        unsent=found.unsent,
        bundle=str(found.bundle),
        report=str(plan.storage.study(plan.study) / REPORT),
        model_report=str(found.page),
        storage=str(plan.storage.root),
        data=str(first.path),
        reused={"preprocess": all(item.reused for item in sets.values()), "embed": embedder.reused},
    )
    if not found.outcome.interrupted:
        write_atomic(plan.storage.study(plan.study) / RESULT, json.dumps(result.to_json(), indent=1).encode())
    return result


@dataclass(frozen=True)
class _Found:
    """What the search and all that follows it came to."""

    outcome: StudyOutcome
    certainty: Certainty | None
    ensemble: Ensemble | None
    metrics: Metrics
    stages: dict[str, StageResult]
    evaluate_seconds: float
    model: Registered | None
    unsent: str | None
    bundle: Path
    page: Path


def _search(
    plan: Plan,
    sets: dict[Size, Preprocessed],
    data: "dict[tuple[str, str], TrialData]",
    tuner: "FineTuner",
    resources: "TrialResources",
    tracker: "Tracker",
    listener: RunListener,
) -> _Found:
    """Search, build the model of the best trial or of an ensemble, measure it, register it."""
    from imgcls_ray.pipeline.delivery import deliver
    from imgcls_ray.pipeline.ensembling import Ensembling
    from imgcls_ray.pipeline.standing import Answers, standing
    from imgcls_ray.pipeline.winner import build_winner, measure_stages
    from imgcls_ray.search.study import Study, run_study

    settings = plan.settings
    first = next(iter(sets.values()))
    asked = flatten(without_users(settings.model_dump(mode="json", exclude={"resume"})))
    info = StudyInfo(
        plan.study,
        settings.search.trials,
        asked,
        describe(first),
        repeats=settings.from_trial,
        conditions=conditions(settings, resources),
    )
    study = Study(
        info=info,
        folder=plan.storage.study(plan.study),
        space=plan.space,
        settings=settings.search,
        data=data,
        resources=resources,
        validation=first.index.rows("val"),
        before=_before(plan, listener),
        seed_epochs=plan.repeated.settings.epochs if plan.repeated else None,
        starts=plan.repeated.folder if plan.repeated else None,
        prepare=tuner.prepare if tuner.possible else None,
    )
    what = f"{plan.repeated.name} again" if plan.repeated else f"{settings.search.trials} trials"
    listener.step_started("fit" if plan.repeated else "search", f"{what}, {resources.describe()}")
    outcome = run_study(study, Listeners([listener, tracker.listener()]))
    study = replace(study, tuned=tuner.data)
    listener.step_ended(_fit_summary(outcome) if plan.repeated else _search_summary(outcome))
    clock = _Clock(time.perf_counter())
    answers = Answers(study, outcome)
    ensembling = Ensembling(outcome, answers, settings.ensemble)
    ensemble = None
    if ensembling.wanted:
        listener.step_started("ensemble", f"of the trials whose weights were kept ({settings.ensemble})")
        ensemble = ensembling.consider()
        listener.step_ended(ensemble.sentence)
    used = ensemble if ensemble and ensemble.accepted else None
    listener.step_started("evaluate", f"the {'ensemble' if used else 'best trial'} on the test split")
    winner = build_winner(plan, study, outcome, sets, used, ensembling)
    bundle, metrics = winner.bundle, winner.metrics
    measured = measure_stages(study, outcome, None if used else metrics, sets)
    stages = {name: StageResult(trial, test) for name, (trial, test) in measured.items()}
    certainty = standing(outcome, answers)
    page, facts = _model_report(plan, winner, sets)
    seconds = clock.lap()
    listener.step_ended(f"test accuracy {metrics.accuracy:.4f} on {metrics.images} pictures")
    tables = winner.predictions.write(study.folder, bundle.calibration)
    files = [
        study.folder / SETTINGS,
        page,
        facts,
        *_report(study, outcome, certainty, ensemble, winner),
    ]
    trial = None if used else outcome.best.number  # an ensemble's figures are of no single trial
    tracker.log_study(metrics, files, trial, tables)
    registered, unsent = deliver(tracker, bundle.path, plan.model_name, listener.study_told, metrics.accuracy)
    return _Found(outcome, certainty, ensemble, metrics, stages, seconds, registered, unsent, bundle.path, page)


def _report(
    study: "Study",
    outcome: StudyOutcome,
    certainty: Certainty | None,
    ensemble: Ensemble | None,
    winner: "Winner",
) -> list[Path]:
    """Note in the journal what came of the study, so that its report can be made from there, and make it."""
    from imgcls_ray.reports.study.page import write_study_report
    from imgcls_ray.training.footprint import parameters_of

    metrics, bundle = winner.metrics, winner.bundle
    shape = (len(bundle.labels), bundle.pixels.channels)
    result = {
        "used": outcome.best.number,
        "certainty": certainty.to_json() if certainty else None,
        "ensemble": ensemble.to_json() if ensemble else None,
        "test": {name: getattr(metrics, name) for name in ("accuracy", "f1_macro", "loss", "images")},
        "parameters": {str(trial.number): parameters_of(trial.params, *shape) for trial in outcome.trials},
        "bundle": bundle.path.name,
    }
    note_result(study.folder, outcome.name, result)
    return write_study_report(study.folder, read_study(study.folder, outcome.name))


def _model_report(plan: Plan, winner: "Winner", sets: dict[Size, Preprocessed]) -> list[Path]:
    """The page of the model and its JSON, in the study's folder."""
    from imgcls_ray.reports.model.album import ShardAlbum, SourceAlbum
    from imgcls_ray.reports.model.page import MODEL_REPORT, about, write_model_report

    pixels = winner.bundle.pixels
    found = sets[Size(pixels.height, pixels.width)]
    album = SourceAlbum(plan.source.reader, pixels) if plan.source else ShardAlbum(found, "test")
    told = about(winner.bundle, f"the test split of {found.index.name}")
    file = plan.storage.study(plan.study) / MODEL_REPORT
    return write_model_report(file, winner.bundle, told, winner.predictions, album)


def _before(plan: Plan, listener: RunListener) -> "tuple[FrozenTrial, ...]":
    """The trials of the study that this one continues from, as far as its space can have them."""
    name = plan.settings.continue_from
    if name is None:
        return ()
    from imgcls_ray.search.continuing import fitting

    old = read_study(plan.storage.study(name), name)
    found = tuple(fitting(old, plan.space))
    listener.step_started("continue", f"{len(found)} of {len(old.trials)} trials of {name} are known from the start")
    return found


def _check_record(plan: Plan, tuner: "FineTuner", sets: dict[Size, Preprocessed]) -> None:
    """Keep what decides the results, now that all of it is known; a study that is taken up began with the same.

    Raises:
        SettingsError: it did not.
    """
    folder = plan.storage.study(plan.study)
    fingerprints = {found.index.fingerprint[:16] for found in sets.values()}
    if plan.repeated:
        plan.repeated.check_data(*fingerprints)
    last = plan.space.parameters.get("unfrozen_layers")
    parts = {
        **plan.record.parts,
        FINGERPRINT: " ".join(sorted(fingerprints)),
        AFFORDABLE: last.model_dump_json() if last else "none",
        **tuner.deciding(),
    }
    now = replace(plan.record, parts=parts)
    if plan.settings.resume:
        known_study(plan.storage.studies, plan.study).check(now)
    now.write(folder)
    _write_settings(plan)  # it may have more trials than it began with
    (folder / RESULT).unlink(missing_ok=True)


def _write_settings(plan: Plan) -> None:
    file = plan.storage.study(plan.study) / SETTINGS
    write_settings(file, plan.settings.model_copy(update={"resume": False}))


def prepare(plan: Plan, listener: RunListener) -> dict[Size, Preprocessed]:
    """The preprocessed sets of a plan, one for each image size; only what is new is decoded. Ray is up.

    Raises:
        DataError: the pictures can't be used, or are too few.
    """
    if plan.source is None:
        return _given(plan)
    sets: dict[Size, Preprocessed] = {}
    for size in dict.fromkeys(plan.sizes.values()):
        settings = plan.settings.preprocess.model_copy(update={"image_size": size})
        listener.step_started("preprocess", f"{plan.settings.data} at {size} pixels")
        folder = set_folder(plan.storage.data, plan.source, settings)
        found = preprocess(plan.source, folder, settings, listener.step_advanced)
        counts = found.counts
        listener.step_ended(
            f"{counts.used} of {counts.found} pictures ({counts.rejected} rejected, {counts.duplicates} duplicates)"
            + (", done before" if found.reused else "")
        )
        if not found.reused or not has_data_report(found.path):
            for sentence in write_data_report(found.path, plan.source.reader, plan.source.name).urgent:
                listener.step_ended(sentence)
        _check_splits(plan, found)
        sets[size] = found
    return sets


def _given(plan: Plan) -> dict[Size, Preprocessed]:
    """The preprocessed set that the user gave."""
    if plan.prepared is None:
        raise RuntimeError("a plan has pictures or a set of them")
    _check_splits(plan, plan.prepared)
    return dict.fromkeys(plan.sizes.values(), plan.prepared)


def _check_splits(plan: Plan, found: Preprocessed) -> None:
    if not found.index.rows("val") or not found.index.rows("test"):
        raise DataError(
            f"A search needs pictures for validation and test; {plan.settings.data} has too few for both: "
            "add some, or raise --val-fraction."
        )


def _fit_summary(outcome: StudyOutcome) -> str:
    return f"{outcome.objective.words} {outcome.best.value:.4f} at its best in {outcome.best.epochs} epochs"


def _search_summary(outcome: StudyOutcome) -> str:
    defaults = outcome.defaults.value if outcome.defaults else None
    against = "" if defaults is None else f", defaults {defaults:.4f}"
    return f"{len(outcome.trials)} trials, {outcome.objective.best} {outcome.leader.value:.4f}{against}"
