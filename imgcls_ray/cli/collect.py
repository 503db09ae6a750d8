"""`imgcls collect`: pictures from the internet into folders that the other verbs read."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json
from imgcls_ray.cli.settings import settings_of
from imgcls_ray.errors import ImgclsError, SettingsError, ending

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.data.collect import Client, Collected, Provider, Wanted

PROVIDERS = ("openverse", "urls")
SHOWN = 10
"""Folders with too few pictures that are listed."""


def collect(
    csv: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns search_term, number, class and (optional) split, or url and class.",
            metavar="CSV",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the pictures; what is there stays.")],
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="openverse, or urls: then each search_term is a file of addresses.",
            show_default="urls if the CSV has a column url, else openverse",
        ),
    ] = None,
    licenses: Annotated[
        str, typer.Option("--license", metavar="A,B", help="Only these licences, such as by,by-sa,cc0,pdm (openverse).")
    ] = "",
    contact: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Mail address or page by which a server's owner reaches you.")
    ] = None,
    rate: Annotated[float, typer.Option(metavar="R", help="Requests a second at most, to each host.")] = 2.0,
    threads: Annotated[int, typer.Option(metavar="N", help="Downloads at once.")] = 4,
    timeout: Annotated[float, typer.Option(metavar="S", help="Seconds that one request may take in all.")] = 60.0,
    max_wait: Annotated[
        float, typer.Option(metavar="S", help="Seconds that a busy server may ask us to wait; else it is left alone.")
    ] = 120.0,
    max_mb: Annotated[float, typer.Option(metavar="MB", help="Bytes of one picture, in 10^6, at most.")] = 20.0,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", metavar="", help="Ask addresses of this machine and its network too.")
    ] = False,
    api: Annotated[
        str | None, typer.Option(metavar="URL", help="Another server with Openverse's API.", show_default="Openverse's")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch pictures of search terms or from lists of addresses; run it again and it goes on."""
    from imgcls_ray.cli.collecting import Bar
    from imgcls_ray.cli.output import output
    from imgcls_ray.data.collect import Client, CollectSettings, read_rows
    from imgcls_ray.data.collect import collect as run

    settings = settings_of(
        CollectSettings,
        {
            "contact": contact,
            "rate": rate,
            "threads": threads,
            "timeout": timeout,
            "max_wait": max_wait,
            "max_mb": max_mb,
            "allow_private": allow_private,
        },
    )
    wanted = read_rows(csv)
    client = Client(settings)
    chosen = _provider(provider, wanted, csv, client, licenses, api)
    with output(as_json) as to:
        with Bar(to) as bar:
            collected = run(wanted.rows, chosen, client, out, settings, bar, what=f"{api or ''} {licenses}")
        _print(to, collected)
        if as_json:
            to.document(collected.to_json())
    if collected.interrupted:
        raise KeyboardInterrupt
    if collected.asked and not collected.had + collected.downloaded:
        causes = ", ".join(f"{cause}: {number}" for cause, number in collected.failed.items()) or "nothing was found"
        raise ImgclsError(f"No picture could be collected ({causes}); mend that and run it again.")


def _provider(
    name: str | None, wanted: "Wanted", csv: Path, client: "Client", licenses: str, api: str | None
) -> "Provider":
    from imgcls_ray.data.collect import OPENVERSE, Openverse, UrlLists

    name = name or ("openverse" if wanted.lists is None else "urls")
    if name not in PROVIDERS:
        raise SettingsError(f"A provider is one of {', '.join(PROVIDERS)}; received '{name}'{ending(name, PROVIDERS)}")
    if name == "openverse" and wanted.lists is None:
        return Openverse(client, os.environ.get("OPENVERSE_TOKEN") or None, api or OPENVERSE, licenses)
    if name == "openverse":
        raise SettingsError(f"Openverse is asked by search terms, but '{csv}' has a column url: leave --provider away.")
    if licenses or api:
        raise SettingsError("--license and --api belong to the provider openverse; addresses are fetched as listed.")
    return UrlLists.of_files(wanted.rows, csv.parent) if wanted.lists is None else UrlLists(wanted.lists)


def _print(to: "Output", collected: "Collected") -> None:
    to.line(
        f"{collected.downloaded} pictures fetched, {collected.had} were there, of {collected.asked} asked", "collected"
    )
    for name, causes in (("skipped", collected.skipped), ("failed", collected.failed)):
        if causes:
            to.line(", ".join(f"{cause}: {number}" for cause, number in causes.items()), name)
    if collected.short:
        shown = [f"{folder}: {number}" for folder, number in list(collected.short.items())[:SHOWN]]
        more = f" and {len(collected.short) - SHOWN} more folders" if len(collected.short) > SHOWN else ""
        to.line(", ".join(shown) + more, "missing")
    to.line(f"{collected.out}   (licences and sources: ATTRIBUTION.csv)", "folder")
