"""`imgcls models`: the registered versions with their aliases, and the log of their moves."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Storage, TrackingUri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcls_ray.cli.output import Output
    from imgcls_ray.tracking.ledger import Entry
    from imgcls_ray.tracking.versions import Version


def models(
    model: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One model only.", show_default="all")] = None,
    log: Annotated[
        bool, typer.Option("--log", metavar="", help="Show who moved what, when and why, the oldest first.")
    ] = False,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """List the registered versions with their aliases; with --log what became of them."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.storage import Storage as Root
    from imgcls_ray.tracking import ledger
    from imgcls_ray.tracking.versions import Versions

    with output(as_json) as out:
        root = Root.at(storage).root
        listed = Versions(root, tracking_uri).listed(model)
        entries = ledger.read(root, model) if log else []
        if as_json:
            out.document([one.to_json() for one in (entries if log else listed)])
        elif log:
            _print_log(out, entries)
        else:
            _print_versions(out, listed)


def _print_versions(out: "Output", listed: "Sequence[Version]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "version", "alias", "test accuracy", "made", "last move"):
        table.add_column(
            name, justify="right" if name in ("version", "test accuracy") else "left", no_wrap=name != "last move"
        )
    for row in listed:
        aliases, made = Text(", ".join(row.aliases), style="bold"), row.created[:16].replace("T", " ")
        accuracy = row.tags.get("accuracy", "")
        table.add_row(Text(row.model), str(row.version), aliases, accuracy, made, Text(row.moved))
    out.table(table)


def _print_log(out: "Output", entries: "Sequence[Entry]") -> None:
    for entry in entries:
        moved = ", ".join(map(str, entry.moved)) or f"{entry.version} stays where it is"
        forced = " (against the gates)" if entry.forced else ""
        out.line(f"{entry.at}  {entry.who}  {entry.action}{forced}  {entry.model}  {moved}  {entry.reason}".rstrip())
