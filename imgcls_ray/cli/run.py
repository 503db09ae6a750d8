"""`imgcls run`: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Config, Json, OptionalStorage, Overrides, TrackingUri

if TYPE_CHECKING:
    from imgcls_ray.result import RunResult


def run(
    data: Annotated[
        str, typer.Argument(help="Folder of pictures: CLASS/*, or Training/CLASS/* and Test/CLASS/*.", metavar="DATA")
    ],
    storage: OptionalStorage = None,
    space: Annotated[
        str | None, typer.Option(help="Search space: a shipped name or a YAML file.", show_default="quick")
    ] = None,
    backbone: Annotated[
        list[str] | None, typer.Option(help="Narrow the space to this backbone; repeatable. 'cnn' is from scratch.")
    ] = None,
    image_size: Annotated[
        str | None, typer.Option(help="N or HxW (height x width) in pixels.", show_default="the backbone's own")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="imagenet, none, PATH or NAME=PATH; repeatable.", show_default="imagenet"),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Trials, the defaults included.", show_default="30")] = None,
    time_budget: Annotated[str | None, typer.Option(help="Of the search: 90s, 5m, 1h.", show_default="none")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a trial.", show_default="the space's")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per step.", show_default="searched")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Trials at once.", show_default="what the cluster holds")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Workers of one trial; from 2 on they train through Ray Train.", show_default="1")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search.", show_default="0")] = None,
    colorspace: Annotated[str | None, typer.Option(help="color or grayscale.", show_default="color")] = None,
    shard_format: Annotated[
        str | None, typer.Option("--format", help="Shards: hdf5 or tfrecord.", show_default="hdf5")
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Share of what is not for the test that is kept for validation.", show_default="0.1"),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study.", show_default="data and time")] = None,
    model_name: Annotated[
        str | None, typer.Option(help="Name in the model registry.", show_default="the data folder's")
    ] = None,
    tracking_uri: TrackingUri = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join.", show_default="RAY_ADDRESS, else a local Ray")
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
        "search.seed": seed,
        "tracking.uri": tracking_uri,
        "tracking.model_name": model_name,
    }
    execute(flags, config, overrides or [], as_json)


def execute(flags: dict[str, Any], config: Path | None, overrides: list[str], as_json: bool) -> "RunResult":
    """Load the settings, run the job, print its result."""
    from imgcls_ray.config import RunSettings, load_settings

    settings = load_settings(RunSettings, config, overrides, flags)
    from imgcls_ray.cli.output import output, print_json
    from imgcls_ray.cli.progress import Progress
    from imgcls_ray.cli.summary import print_summary

    with output(as_json) as console:
        with Progress(console) as progress:
            from imgcls_ray.pipeline import run as run_job

            result = run_job(settings, progress)
        print_summary(console, result)
    if as_json:
        print_json(result.to_json())
    return result
