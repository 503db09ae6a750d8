"""What the main job gives back, and its JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from imgcls_ray.data.manifest import Counts
from imgcls_ray.evaluation.certainty import Certainty
from imgcls_ray.evaluation.ensemble import Ensemble
from imgcls_ray.evaluation.metrics import Metrics
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.tracking.registry import Registered


@dataclass(frozen=True)
class Seconds:
    """Wall-clock time of each step."""

    preprocess: float
    embed: float
    search: float
    """From the first suggestion to the last report."""
    evaluate: float
    total: float


@dataclass(frozen=True)
class StageResult:
    """The best trial of a stage."""

    trial: TrialOutcome
    test: Metrics

    def to_json(self) -> dict[str, Any]:
        """Its number, the trial that it started from (None in the first stage) and its figures."""
        figures = {"test_accuracy": self.test.accuracy, **_figures(self.trial)}
        return {"trial": self.trial.number, "from_trial": self.trial.params.from_trial, **figures}


@dataclass(frozen=True)
class RunResult:
    """A finished main job."""

    study: StudyOutcome
    certainty: Certainty | None
    """The leading trials against the defaults; None where no weights were kept."""
    ensemble: Ensemble | None
    """Whether trials were joined, and what was measured of it; None where that was not asked for."""
    test: Metrics
    """Of the ensemble where it was accepted, else of the best trial."""
    stages: dict[str, StageResult]
    """`probe` and `finetune`; empty for a study of one stage."""
    images: Counts
    workers: int
    seconds: Seconds
    name: str
    """The model's, in the registry."""
    model: Registered | None
    """Its version; None where MLflow does not answer."""
    unsent: str | None
    """What MLflow has not got, and what is to be done about it; None where it has all."""
    bundle: str
    storage: str
    report: str
    """The study's page."""
    model_report: str
    """The page of its model."""
    data: str
    """The preprocessed set, of the first image size where there are several."""
    reused: dict[str, bool | None]
    """Whether `preprocess` and `embed` found their work done; None where no backbone had anything to embed."""

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls run --json` prints."""
        best, defaults, trials = self.study.best, self.study.defaults, self.study.trials
        return {
            "study": self.study.name,
            "interrupted": self.study.interrupted,
            "best": {
                "trial": best.number,
                "value": best.value,
                "val_accuracy": best.metrics["val_accuracy"],
                "val_loss": best.metrics["val_loss"],
                "epochs": best.epochs,
                "params": best.params.model_dump(mode="json", exclude_unset=True),
            },
            "defaults": _figures(defaults),
            "leader": {"trial": self.study.leader.number, **_figures(self.study.leader)},
            "objective": self.study.objective.metric,
            "noise": self.study.noise,
            **self._pair(),
            "certainty": self.certainty.to_json() if self.certainty else None,
            "ensemble": self.ensemble.to_json() if self.ensemble else None,
            "test": {"accuracy": self.test.accuracy, "f1_macro": self.test.f1_macro, "loss": self.test.loss},
            "stages": {name: stage.to_json() for name, stage in self.stages.items()} or None,
            "trials": len(trials),
            "pruned": sum(trial.state == "pruned" for trial in trials),
            "failed": sum(trial.state == "failed" for trial in trials),
            "workers": self.workers,
            "images": asdict(self.images),
            "seconds": {name: round(value, 3) for name, value in asdict(self.seconds).items()},
            "model": {
                "name": self.name,
                "version": self.model.version if self.model else None,
                "alias": self.model.alias if self.model else None,
                "champion": self.model.champion if self.model else None,
                "bundle": self.bundle,
                "report": self.model_report,
            },
            "unsent": self.unsent,
            "report": self.report,
            "storage": self.storage,
            "data": self.data,
            "reused": self.reused,
        }

    def _pair(self) -> dict[str, Any]:
        """What there is to tell of a second objective."""
        if self.study.second is None:
            return {}
        front = [{"number": trial.number, "values": [trial.value, trial.second]} for trial in self.study.front]
        return {"second_objective": self.study.second.metric, "front": front}


def _figures(trial: TrialOutcome | None) -> dict[str, float | None]:
    """The objective's value and the accuracy of a trial's kept epoch; without a score, nothing."""
    if trial is None:
        return {"value": None, "val_accuracy": None}
    return {"value": trial.value, "val_accuracy": trial.metrics.get("val_accuracy")}
