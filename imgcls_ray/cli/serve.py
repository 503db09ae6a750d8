"""`imgcls serve`: the REST service in the foreground."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Address, Model, Storage, TrackingUri

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from serve.run import Running


def serve(
    model: Model,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    host: Annotated[
        str, typer.Option(metavar="ADDR", help="Address to listen on; loopback unless you say otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="TCP port; 0 takes any free one.")] = 8000,
    cpus: Annotated[int, typer.Option(min=1, max=256, metavar="N", help="CPUs of the model, and its threads.")] = 1,
    address: Address = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON line on stdout when it is ready.")
    ] = False,
) -> None:
    """Answer POST /classify over HTTP until Ctrl-C."""
    from imgcls_ray.cli.output import output
    from serve.run import run
    from serve.settings import ServeSettings

    settings = ServeSettings(model=model, storage=storage, tracking_uri=tracking_uri, cpus=cpus)
    typer.echo(f"Loading {model} ...", err=True)
    with output(as_json) as out:  # what Ray brings from other processes to stdout goes to stderr with --json
        run(settings, lambda running: _tell(running, out if as_json else None), host, port, address)
    typer.echo("Stopped.", err=True)


def _tell(running: "Running", out: "Output | None") -> None:
    if out is not None:
        out.document({"url": running.url, "model": running.model, "bundle": str(running.bundle)})
        return
    typer.echo(
        f"Serving {running.model} at {running.url} until Ctrl-C. Try:\n"
        f"  curl -F img=@picture.jpg {running.url}/classify\n"
        f"or open {running.url}/docs in a browser."
    )
    sys.stdout.flush()
