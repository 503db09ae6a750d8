"""The flags of a search, with which `imgcls run` and `imgcls search` narrow and place it."""

from dataclasses import dataclass
from typing import Annotated, Any

from imgcls_ray.cli.flags import option
from imgcls_ray.cli.options import FOLDER

SEARCH, MACHINES, RESULTS = "Search", "Machines", "Results"
"""The groups of flags on the page of help."""


@dataclass(frozen=True)
class SearchFlags:
    """One field per flag, None where it was not typed; `settings` says which setting each is."""

    space: Annotated[str | None, option("SPACE", "Search space: a shipped name or a YAML file.", "quick", SEARCH)] = (
        None
    )
    backbone: Annotated[
        list[str] | None,
        option("NAME", "Narrow the space to this backbone (or 'cnn', or bundle:PATH); repeatable.", False, SEARCH),
    ] = None
    weights: Annotated[
        list[str] | None, option("SOURCE", "imagenet, none, PATH or NAME=PATH; repeatable.", "imagenet", SEARCH)
    ] = None
    trials: Annotated[int | None, option("N", "Trials, the defaults included.", "30", SEARCH)] = None
    time_budget: Annotated[str | None, option("TIME", "Time for the search: 90s, 5m, 1h.", "none", SEARCH)] = None
    epochs: Annotated[int | None, option("N", "Epochs of a trial.", "the space's", SEARCH)] = None
    batch_size: Annotated[int | None, option("N", "Samples per step.", "the space's", SEARCH)] = None
    sampler: Annotated[str | None, option("NAME", "Who proposes: tpe, random, grid, cmaes or gp.", "tpe", SEARCH)] = (
        None
    )
    scheduler: Annotated[str | None, option("NAME", "Who stops trials: asha, median or none.", "asha", SEARCH)] = None
    objective: Annotated[
        str | None,
        option("NAME", "val_accuracy, val_f1_macro, val_balanced_accuracy or val_loss.", "val_accuracy", SEARCH),
    ] = None
    second_objective: Annotated[
        str | None,
        option("NAME", "What is made smaller beside it: none, latency_ms or size_mb.", "none", SEARCH),
    ] = None
    seed: Annotated[int | None, option("N", "Seed of the search.", "0", SEARCH)] = None
    concurrency: Annotated[int | None, option("N", "Trials at once.", "what the cluster holds", MACHINES)] = None
    workers: Annotated[
        int | None, option("N", "Workers of one trial; from 2 on they train through Ray Train.", "1", MACHINES)
    ] = None
    address: Annotated[
        str | None, option("ADDR", "Ray cluster to join.", "RAY_ADDRESS, else a local Ray", MACHINES)
    ] = None
    storage: Annotated[str | None, option("DIR", FOLDER, "./imgcls-runs", RESULTS)] = None
    study: Annotated[str | None, option("NAME", "Name of the study.", "data and time", RESULTS)] = None
    resume: Annotated[
        bool,
        option(
            "",
            "Take up the study of this name, or the newest unfinished one of this data, with its settings.",
            False,
            RESULTS,
            "--resume",
        ),
    ] = False
    continue_from: Annotated[
        str | None,
        option(
            "STUDY", "Begin a new study with what this one learned; its best trials are tried first.", "none", RESULTS
        ),
    ] = None
    model_name: Annotated[str | None, option("NAME", "Name in the model registry.", "the data's", RESULTS)] = None
    ensemble: Annotated[
        str | None,
        option(
            "SIZE",
            "Join trials where that is better on validation: auto (serving costs little more), none, or N at most.",
            "auto",
            RESULTS,
        ),
    ] = None
    tracking_uri: Annotated[
        str | None, option("URI", "MLflow server or database.", "SQLite in the storage", RESULTS)
    ] = None

    def settings(self) -> dict[str, Any]:
        """Dotted name of a setting -> what was typed for it, or None."""
        return {
            "storage": self.storage,
            "study": self.study,
            "resume": self.resume or None,
            "continue_from": self.continue_from,
            "ensemble": self.ensemble,
            "address": self.address,
            "weights": self.weights,
            "search.space": self.space,
            "search.backbones": self.backbone,
            "search.trials": self.trials,
            "search.time_budget": self.time_budget,
            "search.epochs": self.epochs,
            "search.batch_size": self.batch_size,
            "search.concurrency": self.concurrency,
            "search.workers": self.workers,
            "search.sampler": self.sampler,
            "search.scheduler": self.scheduler,
            "search.objective": self.objective,
            "search.second_objective": self.second_objective,
            "search.seed": self.seed,
            "tracking.uri": self.tracking_uri,
            "tracking.model_name": self.model_name,
        }
