"""The main job, one step after another. A step whose result is already there is not done again."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcls_ray import quiet
from imgcls_ray.config import RunSettings, Size, flatten
from imgcls_ray.config.saving import without_users, write_settings
from imgcls_ray.data.preprocess import Preprocessed, preprocess, set_folder
from imgcls_ray.errors import DataError
from imgcls_ray.jobs.connection import cluster
from imgcls_ray.plan import Plan, make_plan
from imgcls_ray.reports.page import REPORT, write_data_report
from imgcls_ray.result import RunResult, Seconds
from imgcls_ray.search.listener import Listeners, StudyInfo, StudyListener, StudyOutcome
from imgcls_ray.storage import writing

if TYPE_CHECKING:
    from imgcls_ray.training.job import TrialData


class RunListener(StudyListener):
    """Hears of every step of the main job, and of the study in between."""

    def step_started(self, name: str, what: str) -> None:
        """`name` is preprocess, embed, search or evaluate; `what` says in words what it works on."""

    def step_advanced(self, done: int, total: int) -> None:
        """Of the shards of this step `done` are ready."""

    def step_ended(self, summary: str) -> None:
        """In words, what came of it."""


@dataclass
class _Clock:
    """Seconds since it was last asked."""

    last: float

    def lap(self) -> float:
        now = time.perf_counter()
        lap, self.last = now - self.last, now
        return lap


def run(settings: RunSettings, listener: RunListener | None = None) -> RunResult:
    """From a folder of pictures to a registered model.

    Raises:
        ImgclsError: one of its kinds, with a sentence for the user; nothing is left half written.
    """
    listener = listener or RunListener()
    started = time.perf_counter()
    plan = make_plan(settings)
    with cluster(settings.address), writing(plan.storage.root):
        return _run(plan, listener, started)


def _run(plan: Plan, listener: RunListener, started: float) -> RunResult:
    from imgcls_ray.search.resources import plan_resources

    resources = plan_resources(plan.settings.search)
    # Loaded here, so that a wrong request is told before TensorFlow is waited for.
    quiet.import_tensorflow()
    from imgcls_ray.effort import affordable
    from imgcls_ray.search.study import Study, run_study
    from imgcls_ray.tracking.registry import register
    from imgcls_ray.tracking.tracker import Tracker
    from imgcls_ray.winner import build_winner

    settings = plan.settings
    clock = _Clock(time.perf_counter())
    sets = _preprocess(plan, listener)
    preprocess_seconds = clock.lap()
    space, note = affordable(plan, sets, resources.gpus > 0)
    plan = replace(plan, space=space)
    data, computed = _embed(plan, sets, listener, note)
    embed_seconds = clock.lap()
    with Tracker(plan.storage.root, settings.tracking) as tracker:
        first = next(iter(sets.values()))
        info = StudyInfo(
            plan.study,
            settings.search.trials,
            flatten(without_users(settings.model_dump(mode="json"))),
            _describe(first),
        )
        study = Study(
            info=info,
            folder=plan.storage.study(plan.study),
            space=plan.space,
            settings=settings.search,
            data=data,
            resources=resources,
            validation=first.index.rows("val"),
        )
        listener.step_started("search", f"{settings.search.trials} trials, {resources.describe()}")
        study.folder.mkdir(parents=True)
        saved = write_settings(study.folder / "settings.yaml", settings)
        outcome = run_study(study, Listeners([listener, tracker.listener()]))
        listener.step_ended(_search_summary(outcome))

        clock.lap()
        listener.step_started("evaluate", "the best trial on the test split")
        bundle, metrics = build_winner(plan, study, outcome, sets)
        evaluate_seconds = clock.lap()
        listener.step_ended(f"test accuracy {metrics.accuracy:.4f} on {metrics.images} pictures")
        tracker.log_study(metrics, [saved])
        registered = register(tracker, bundle.path, plan.model_name, tracker.run_id)
    return RunResult(
        study=outcome,
        test=metrics,
        images=first.counts,
        workers=resources.workers,
        seconds=Seconds(
            preprocess=preprocess_seconds,
            embed=embed_seconds,
            search=outcome.seconds,
            evaluate=evaluate_seconds,
            total=time.perf_counter() - started,
        ),
        model=registered,
        bundle=str(bundle.path),
        storage=str(plan.storage.root),
        data=str(first.path),
        reused={"preprocess": all(item.reused for item in sets.values()), "embed": computed == 0},
    )


def _preprocess(plan: Plan, listener: RunListener) -> dict[Size, Preprocessed]:
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
        if not found.reused or not (found.path / REPORT).is_file():
            for sentence in write_data_report(found.path, plan.source.reader, plan.source.name).urgent:
                listener.step_ended(sentence)
        if not found.index.rows("val") or not found.index.rows("test"):
            raise DataError(
                f"A search needs pictures for validation and test; {plan.settings.data} has too few for both: "
                "add some, or raise --val-fraction."
            )
        sets[size] = found
    return sets


def _embed(
    plan: Plan, sets: dict[Size, Preprocessed], listener: RunListener, note: str
) -> "tuple[dict[tuple[str, str], TrialData], int]":
    """What each backbone's trials learn from, and how many shards were computed for it."""
    from imgcls_ray.embeddings.compute import embed
    from imgcls_ray.training.job import TrialData

    data: dict[tuple[str, str], TrialData] = {}
    computed = 0
    for (name, text), size in plan.sizes.items():
        found = sets[size]
        embeddings = None
        if plan.pretrained(name):
            unfrozen, views = plan.space.highest("unfrozen_layers"), plan.space.highest("views")
            more = f" and {views} augmented views of each for training" if views else ""
            listener.step_started("embed", f"{found.counts.used} pictures{more} at {size} pixels through {name}")
            embeddings = embed(
                found, name, plan.weights[name], plan.storage.embeddings, listener.step_advanced, unfrozen, views
            )
            computed += embeddings.computed
            what = f"maps before the last {unfrozen} layers" if unfrozen else f"{embeddings.features} features"
            listener.step_ended(what + ("" if embeddings.computed else ", done before"))
            if note:
                listener.step_ended(note)
        index = found.index
        data[name, text] = TrialData(found.path, size, index.pixels.channels, len(index.labels), embeddings)
    return data, computed


def _describe(found: Preprocessed) -> dict[str, str]:
    index = found.index
    rows = {split: str(index.rows(split)) for split in ("train", "val", "test")}
    return {"name": index.name, "fingerprint": index.fingerprint, "classes": ", ".join(index.labels.names), **rows}


def _search_summary(outcome: StudyOutcome) -> str:
    defaults = outcome.defaults.value if outcome.defaults else None
    against = "" if defaults is None else f", defaults {defaults:.4f}"
    return f"{len(outcome.trials)} trials, highest validation accuracy {outcome.leader.value:.4f}{against}"
