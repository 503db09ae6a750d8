"""`imgcls serve`: the REST service in the foreground."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from imgcls_ray.cli.options import Model, Storage, TrackingUri

if TYPE_CHECKING:
    from serve.run import Running


def serve(
    model: Model,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless you say otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes any free one.")] = 8000,
    cpus: Annotated[int, typer.Option(min=1, max=256, help="CPUs of the model, and its threads.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join.", show_default="RAY_ADDRESS, else a local Ray is started")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line on stdout when it is ready.")] = False,
) -> None:
    """Answer POST /classify over HTTP until Ctrl-C."""
    from imgcls_ray.cli.output import output
    from serve.run import run
    from serve.settings import ServeSettings

    settings = ServeSettings(model=model, storage=storage, tracking_uri=tracking_uri, cpus=cpus)
    stdout = sys.stdout
    typer.echo(f"Loading {model} ...", err=True)
    with output(as_json):  # what Ray brings from other processes to stdout goes to stderr with --json
        run(settings, lambda running: _tell(running, as_json, stdout), host, port, address)
    typer.echo("Stopped.", err=True)


def _tell(running: "Running", as_json: bool, stdout: TextIO) -> None:
    if as_json:
        line = json.dumps({"url": running.url, "model": running.model, "bundle": str(running.bundle)})
    else:
        line = (
            f"Serving {running.model} at {running.url} until Ctrl-C. Try:\n"
            f"  curl -F img=@picture.jpg {running.url}/classify\n"
            f"or open {running.url}/docs in a browser."
        )
    typer.echo(line, file=stdout)
    stdout.flush()
