"""`imgcls rollback`: back to the version that was served before."""

from typing import Annotated

import typer

from imgcls_ray.cli.options import Json, Storage, TrackingUri


def rollback(
    model: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The model.", show_default="the one there is")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the log.", show_default="none")] = "",
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Let champion and previous change places; once more undoes it."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.storage import Storage as Root
    from imgcls_ray.tracking.versions import Versions

    with output(as_json) as out:
        versions = Versions(Root.at(storage).root, tracking_uri)
        name = model or versions.sole_model()
        entry = versions.rollback(name, reason)
        out.line(f"Version {entry.champion} of '{name}' is the champion again, {entry.previous} the previous one.")
        if as_json:
            out.document(entry.to_json())
