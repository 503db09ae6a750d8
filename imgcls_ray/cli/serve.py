"""`imgcls serve`: the REST service in the foreground."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serve.run import Running


def serve(
    model: Annotated[str, typer.Option(help="A bundle's folder, or models:/NAME@ALIAS.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes any free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless you say otherwise.")] = "127.0.0.1",
    storage: Annotated[str, typer.Option(help="The storage root whose registry knows the model.")] = "./imgcls-runs",
    tracking_uri: Annotated[str | None, typer.Option(help="An MLflow server or database instead.")] = None,
    cpus: Annotated[int, typer.Option(min=1, max=256, help="CPUs (and TensorFlow threads) of the model.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join; default RAY_ADDRESS, else a local Ray is started.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON line on stdout when ready.")] = False,
) -> None:
    """Answer POST /classify over HTTP until Ctrl-C."""
    from serve.run import run
    from serve.settings import ServeSettings

    settings = ServeSettings(model=model, storage=storage, tracking_uri=tracking_uri, cpus=cpus)
    if not json_output:
        typer.echo(f"Loading {model} ...", err=True)
    run(settings, _json if json_output else _told, host=host, port=port, address=address)
    if not json_output:
        typer.echo("Stopped.", err=True)


def _told(running: "Running") -> None:
    typer.echo(f"Serving {running.model} at {running.url} (Ctrl-C stops it). Try:")
    typer.echo(f"  curl -F img=@picture.jpg {running.url}/classify")
    typer.echo(f"Page to try it in a browser: {running.url}/docs")
    sys.stdout.flush()


def _json(running: "Running") -> None:
    typer.echo(json.dumps({"url": running.url, "model": running.model, "bundle": str(running.bundle)}))
    sys.stdout.flush()
