"""How a study and its trials are described in MLflow: tags, metrics, inputs, a note."""

from collections.abc import Mapping

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyInfo, StudyOutcome, TrialOutcome
from imgcls_ray.tracking.record import NOTE, REASON, REPEATS, STATE, STUDY, DataSplit

CONTEXTS = {"train": "training", "val": "validation", "test": "test"}
DIGITS = 12
"""Of a digest, as in the names of folders; MLflow takes 36."""


def study_tags(study: StudyInfo) -> dict[str, str]:
    """What a study's run says while it runs."""
    repeats = {REPEATS: study.repeats} if study.repeats else {}
    note = f"Study **{study.name}** is running: {study.trials} trials are asked for."
    conditions = {f"imgcls.{key}": value for key, value in study.conditions.items()}
    return _data_tags(study.data) | conditions | repeats | {NOTE: note}


def trial_tags(study: StudyInfo, params: TrialSettings) -> dict[str, str]:
    """What a trial's run says from its beginning."""
    stage = ("finetune" if params.from_trial is not None else "probe") if study.staged else "search"
    conditions = {f"imgcls.{key}": value for key, value in study.conditions.items() if not key.startswith("version.")}
    data: dict[str, str] = {
        key: study.data[key] for key in ("name", "fingerprint", "test_fingerprint") if key in study.data
    }
    about = {STUDY: study.name, "imgcls.backbone": params.backbone, "imgcls.stage": stage, STATE: "running"}
    return about | conditions | _data_tags(data)


def trial_figures(study: StudyInfo, outcome: TrialOutcome) -> dict[str, float]:
    """What a trial came to."""
    figures = {"epochs": float(outcome.epochs), "trial_seconds": outcome.seconds}
    if outcome.value is not None:
        figures[f"best_{study.objective.metric}"] = outcome.value
    if study.second and outcome.second is not None:
        figures[study.second.metric] = outcome.second
    return figures


def ending_tags(outcome: TrialOutcome) -> dict[str, str]:
    """How a trial ended, and why."""
    reason = {REASON: outcome.reason, NOTE: outcome.reason} if outcome.reason else {}
    return {STATE: str(outcome.state), **reason}


def study_figures(outcome: StudyOutcome) -> dict[str, float]:
    """What a study came to."""
    states = [trial.state for trial in outcome.trials]
    figures: dict[str, float | None] = {
        "trials": float(len(states)),
        "pruned": float(states.count("pruned")),
        "failed": float(states.count("failed")),
        "search_seconds": outcome.seconds,
        f"best_{outcome.objective.metric}": outcome.best.value,
        f"defaults_{outcome.objective.metric}": outcome.defaults.value if outcome.defaults else None,
    }
    if outcome.second:
        figures[f"best_{outcome.second.metric}"] = outcome.best.second
    return {name: value for name, value in figures.items() if value is not None}


def data_splits(data: Mapping[str, str]) -> tuple[DataSplit, ...]:
    """The splits of the study's data, as inputs of a run."""
    return tuple(
        DataSplit(
            name=data.get("name", "data")[:500],
            digest=data[f"{split}_fingerprint"][:DIGITS],
            context=context,
            profile={"pictures": data.get(split, ""), "classes": data.get("classes", "")},
        )
        for split, context in CONTEXTS.items()
        if f"{split}_fingerprint" in data
    )


def summary(outcome: StudyOutcome) -> str:
    """The note of a study that ended, in Markdown."""

    def shown(trial: TrialOutcome) -> str:
        return "none" if trial.value is None else f"{trial.value:.4f}"

    against = f", defaults {shown(outcome.defaults)}" if outcome.defaults else ""
    rows = "".join(
        f"| {key} | {value} |\n" for key, value in outcome.best.params.model_dump(exclude_unset=True).items()
    )
    return (
        f"Best {outcome.objective.words} **{shown(outcome.best)}** (trial {outcome.best.number}){against}; "
        f"{len(outcome.trials)} trials in {outcome.seconds:.0f} s.\n\n"
        f"| setting of the best trial | value |\n|---|---|\n{rows}"
    )


def _data_tags(data: Mapping[str, str]) -> dict[str, str]:
    return {
        f"imgcls.data.{key}": value[:DIGITS] if key.endswith("fingerprint") else value for key, value in data.items()
    }
