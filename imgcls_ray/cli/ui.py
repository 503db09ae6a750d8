"""`imgcls ui`: MLflow's pages on what the runs wrote."""

from typing import Annotated

import typer

from imgcls_ray.cli.options import Storage, TrackingUri


def ui(
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    host: Annotated[
        str, typer.Option(metavar="ADDR", help="127.0.0.1 or localhost; from elsewhere through ssh -L.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="TCP port.")] = 5000,
) -> None:
    """Start MLflow's UI on the storage, until Ctrl-C."""
    from imgcls_ray.storage import Storage as Root
    from imgcls_ray.tracking.ui import serve_ui

    typer.echo("Starting MLflow's UI ...", err=True)
    root = Root.at(storage).root
    serve_ui(root, tracking_uri, host, port, ready=lambda url: typer.echo(f"MLflow's UI: {url} (Ctrl-C stops it)"))
