"""`imgcls track`: send MLflow what it has not got of a study."""

from typing import Annotated

import typer

from imgcls_ray.cli.options import Json, Storage, StudysUri


def track(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")],
    storage: Storage = "./imgcls-runs",
    tracking_uri: StudysUri = None,
    as_json: Json = False,
) -> None:
    """Send MLflow what it has not got of a study, as when its server was away; or all of it to another server."""
    from imgcls_ray.cli.output import output

    with output(as_json) as out:
        from imgcls_ray.pipeline import delivery

        found = delivery.track(study, storage, tracking_uri, tell=lambda sentence: out.line(sentence))
        if as_json:
            out.document(found.to_json())
            return
        news = f"{found.sent} sent now" if found.sent else "nothing was left to send"
        out.line(f"{found.records} records at {found.uri}, {news}; run {found.run}", "track")
        if found.refused:
            out.line(found.refused, "refused")
        if found.model:
            out.line(f"{found.model}, version {found.model.version}", "register")
