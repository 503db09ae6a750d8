"""`imgcls search`: the search alone, on a preprocessed set."""

from typing import Annotated, Any

import typer

from imgcls_ray.cli.options import FOLDER, Address, Config, Json, Overrides, TrackingUri


def search(
    data: Annotated[
        str, typer.Argument(metavar="PREPROCESSED", help="A preprocessed set: a folder with its index.json.")
    ],
    space: Annotated[
        str | None,
        typer.Option(metavar="SPACE", help="Search space: a shipped name or a YAML file.", show_default="quick"),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Narrow the space to this backbone; repeatable. 'cnn' is from scratch."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="imagenet, none, PATH or NAME=PATH; repeatable.", show_default="imagenet"),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Trials, the defaults included.", show_default="30")
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time for the search: 90s, 5m, 1h.", show_default="none")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Epochs of a trial.", show_default="the space's")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Samples per step.", show_default="the space's")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who proposes: tpe, random, grid, cmaes or gp.", show_default="tpe"),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who stops trials: asha, median or none.", show_default="asha")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="val_accuracy, val_f1_macro, val_balanced_accuracy or val_loss.",
            show_default="val_accuracy",
        ),
    ] = None,
    second_objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is made smaller beside it: none, latency_ms or size_mb.",
            show_default="none",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the search.", show_default="0")] = None,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="Trials at once.", show_default="what the cluster holds")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Workers of one trial; from 2 on they train through Ray Train.", show_default="1"
        ),
    ] = None,
    address: Address = None,
    storage: Annotated[str | None, typer.Option(metavar="DIR", help=FOLDER, show_default="./imgcls-runs")] = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the study.", show_default="data and time")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar="",
            help="Take up the study of this name, or the newest unfinished one of this data, with its settings.",
        ),
    ] = False,
    continue_from: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Begin a new study with what this one learned; its best trials are tried first.",
            show_default="none",
        ),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name in the model registry.", show_default="the data's"),
    ] = None,
    tracking_uri: TrackingUri = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Search on a preprocessed set, evaluate, and register the best classifier."""
    from imgcls_ray.cli.run import begun, execute

    flags: dict[str, Any] = {
        "data": data,
        "storage": storage,
        "study": study,
        "resume": resume or None,
        "continue_from": continue_from,
        "address": address,
        "weights": weights,
        "search.space": space,
        "search.backbones": backbone,
        "search.trials": trials,
        "search.time_budget": time_budget,
        "search.epochs": epochs,
        "search.batch_size": batch_size,
        "search.concurrency": concurrency,
        "search.workers": workers,
        "search.sampler": sampler,
        "search.scheduler": scheduler,
        "search.objective": objective,
        "search.second_objective": second_objective,
        "search.seed": seed,
        "tracking.uri": tracking_uri,
        "tracking.model_name": model_name,
    }
    execute(begun(flags, config, overrides or []), as_json, prepared=True)
