"""`imgcls run`: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import FOLDER, Config, Json, Overrides
from imgcls_ray.errors import Interrupted, SettingsError

if TYPE_CHECKING:
    from imgcls_ray.config import RunSettings
    from imgcls_ray.result import RunResult

FLAGS = {
    "data": "DATA",
    "preprocess.format": "--format",
    "search.backbones": "--backbone",
    "tracking.uri": "--tracking-uri",
}
"""Flags that are not called as their settings are."""

PICTURES, SEARCH, MACHINES, RESULTS = "Pictures", "Search", "Machines", "Results"
"""The groups of flags on the page of help."""


def run(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Folder of pictures: CLASS/*, or Training/CLASS/* and Test/CLASS/*.")
    ],
    colorspace: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="color or grayscale.", show_default="color", rich_help_panel=PICTURES),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="N or HxW (height x width) in pixels.",
            show_default="the backbone's own",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Share of the training pictures that is kept for validation.",
            show_default="0.1",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    shard_format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Shards: hdf5 or tfrecord.", show_default="hdf5", rich_help_panel=PICTURES
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="SPACE",
            help="Search space: a shipped name or a YAML file.",
            show_default="quick",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Narrow the space to this backbone; repeatable. 'cnn' is from scratch.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="imagenet, none, PATH or NAME=PATH; repeatable.",
            show_default="imagenet",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="Trials, the defaults included.", show_default="30", rich_help_panel=SEARCH),
    ] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Time for the search: 90s, 5m, 1h.", show_default="none", rich_help_panel=SEARCH
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs of a trial.", show_default="the space's", rich_help_panel=SEARCH),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Samples per step.", show_default="the space's", rich_help_panel=SEARCH),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who proposes: tpe, random, grid, cmaes or gp.",
            show_default="tpe",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who stops trials: asha, median or none.",
            show_default="asha",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="val_accuracy, val_f1_macro, val_balanced_accuracy or val_loss.",
            show_default="val_accuracy",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    second_objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is made smaller beside it: none, latency_ms or size_mb.",
            show_default="none",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of the search.", show_default="0", rich_help_panel=SEARCH),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Trials at once.", show_default="what the cluster holds", rich_help_panel=MACHINES
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Workers of one trial; from 2 on they train through Ray Train.",
            show_default="1",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR",
            help="Ray cluster to join.",
            show_default="RAY_ADDRESS, else a local Ray",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="DIR", help=FOLDER, show_default="./imgcls-runs", rich_help_panel=RESULTS),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the study.", show_default="data and time", rich_help_panel=RESULTS),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar="",
            help="Take up the study of this name, or the newest unfinished one of this data, with its settings.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    continue_from: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Begin a new study with what this one learned; its best trials are tried first.",
            show_default="none",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name in the model registry.",
            show_default="the data folder's",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="MLflow server or database.",
            show_default="SQLite in the storage",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Preprocess a folder of pictures, search, evaluate, and register the best classifier."""
    flags: dict[str, Any] = {
        "data": data,
        "storage": storage,
        "study": study,
        "resume": resume or None,
        "continue_from": continue_from,
        "address": address,
        "weights": weights,
        "preprocess.colorspace": colorspace,
        "preprocess.format": shard_format,
        "preprocess.val_fraction": val_fraction,
        "search.space": space,
        "search.backbones": backbone,
        "search.image_size": image_size,
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
    execute(begun(flags, config, overrides or []), as_json)


def load(flags: dict[str, Any], config: Path | None, overrides: list[str]) -> "RunSettings":
    """The settings, or the rule that one of them breaks in the words of its flag."""
    from imgcls_ray.config import RunSettings, load_settings

    try:
        return load_settings(RunSettings, config, overrides, flags)
    except SettingsError as error:
        raise SettingsError(by_flag(str(error), flags, FLAGS)) from error


def begun(flags: dict[str, Any], config: Path | None, overrides: list[str]) -> "RunSettings":
    """The settings; with `--resume` those that the study began with, over which flags, --config and --set win."""
    settings = load(flags, config, overrides)
    if not settings.resume:
        return settings
    from imgcls_ray.plan import taken_up

    name, file = taken_up(settings)
    return load({**flags, "study": name, "storage": settings.storage}, config or file, overrides)


def execute(settings: "RunSettings", as_json: bool, prepared: bool = False) -> "RunResult":
    """Run the job (with `prepared` the search alone), show its progress and print its result.

    Raises:
        Interrupted: Ctrl-C ended the search; the best trial so far was registered and printed.
    """
    from imgcls_ray.cli.output import output

    with output(as_json) as out:
        from imgcls_ray import pipeline
        from imgcls_ray.cli.progress import Progress
        from imgcls_ray.cli.summary import print_summary

        with Progress(out) as progress:
            result = (pipeline.search if prepared else pipeline.run)(settings, progress)
        print_summary(out, result)
        if as_json:
            out.document(result.to_json())
    if result.study.interrupted:
        raise Interrupted(
            f"interrupted; the best of {len(result.study.trials)} trials is registered, and the same command with "
            f"--resume --study {result.study.name} goes on from here."
        )
    return result


def by_flag(message: str, flags: dict[str, Any], names: dict[str, str]) -> str:
    """The message about a setting, in the words of its flag; `names` has the flags that are not called like it."""
    for setting, value in flags.items():
        start = f"The settings can't be used: {setting}: "
        if value is not None and message.startswith(start):
            flag = names.get(setting) or "--" + setting.rpartition(".")[2].replace("_", "-")
            return f"The value of {flag} can't be used: {message.removeprefix(start)}"
    return message
