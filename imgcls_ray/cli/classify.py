"""`imgcls classify`: what a model says of pictures."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Storage, TrackingUri
from imgcls_ray.errors import SettingsError

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.use.answer import Answer

BAR = 30
"""Columns of a bar that stands for probability 1."""


def classify(
    images: Annotated[list[str], typer.Argument(help="Picture files; with --csv folders too.", metavar="IMG...")],
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask the service there; its API key is that in IMGCLS_API_KEY.")
    ] = None,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Classes to show; --json has all.")] = 5,
    table: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write a table of all files there: key, prediction, label, scores."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the probabilities of each picture's classes, highest first; with --csv write them as a table."""
    if (model is None) == (url is None):
        given = "both" if model else "neither"
        raise SettingsError(f"Pictures are classified by a --model or by the service at a --url; received {given}.")
    if table is not None:
        if model is None:
            raise SettingsError("A table is written with a --model; received --csv with --url.")
        _tabulate(images, table, model, storage, tracking_uri, as_json)
        return
    from imgcls_ray.cli.output import output

    with output(as_json) as out:
        found = _asked(url, images) if model is None else _loaded(model, storage, tracking_uri, images)
        if not as_json:
            _print(out, found, top)
        for answer in found:
            if answer.error:
                typer.echo(f"imgcls: {answer.image}: {answer.error}", err=True)
        if as_json:
            out.document([answer.to_json() for answer in found])
    if any(answer.error for answer in found):
        raise typer.Exit(2)


def _loaded(model: str, storage: str, tracking_uri: str | None, images: list[str]) -> "list[Answer]":
    from imgcls_ray.cli.loading import load_model
    from imgcls_ray.use import answers

    answers.check_pictures(images)
    return answers.classify(load_model(model, storage, tracking_uri), images)


def _asked(url: str | None, images: list[str]) -> "list[Answer]":
    from imgcls_ray.client import Client

    with Client(url or "", os.environ.get("IMGCLS_API_KEY")) as client:
        return [client.classify(image) for image in images]


def _tabulate(
    places: list[str], table: Path, model: str, storage: str, tracking_uri: str | None, as_json: bool
) -> None:
    from imgcls_ray.cli.loading import load_model
    from imgcls_ray.cli.output import output
    from imgcls_ray.use import predictions

    predictions.check_places(places, table)
    with output(as_json) as out:
        written = predictions.write_predictions(load_model(model, storage, tracking_uri), places, table)
        if as_json:
            out.document(written.to_json())
            return
        out.line(f"{written.path}   {written.answered} pictures", "written")
        for cause, count in written.rejected.items():
            out.line(f"{count} without an answer: {cause}", after="each has the reason in its row")


def _print(out: "Output", found: "Sequence[Answer]", top: int) -> None:
    for answer in found:
        if answer.error:
            continue
        out.line(answer.image + ("   unsure" if answer.decision == "unsure" else ""))
        for prediction in answer.predictions[:top]:
            probability = prediction["probability"]
            out.line(f"  {probability:6.4f}  {'█' * round(probability * BAR):<{BAR}}  {prediction['label']}")
