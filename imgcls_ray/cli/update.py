"""`imgcls update`: the job for every day."""

from typing import Annotated

import typer

from imgcls_ray.cli.gate_flags import GateFlags
from imgcls_ray.cli.options import Json, Storage, StudysAddress, StudysUri
from imgcls_ray.errors import Interrupted


def update(
    data: Annotated[str, typer.Argument(metavar="DATA", help="The pictures that a study was made from.")],
    gates: GateFlags,
    trials: Annotated[int | None, typer.Option(metavar="N", help="Trials of the search.", show_default="8")] = None,
    time_budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time for the search: 90s, 5m, 1h.", show_default="none")
    ] = None,
    continue_from: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="The study to go on from.", show_default="the newest finished one"),
    ] = None,
    no_promote: Annotated[
        bool, typer.Option("--no-promote", metavar="", help="Leave the new model a candidate, whatever the gates say.")
    ] = False,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="Trials at once.", show_default="as in that study")
    ] = None,
    address: StudysAddress = None,
    storage: Storage = "./imgcls-runs",
    tracking_uri: StudysUri = None,
    as_json: Json = False,
) -> None:
    """Where there are new pictures: preprocess these, search on, and promote the best if the gates let it."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.cli.settings import settings_of
    from imgcls_ray.config import UpdateSettings

    flags = {
        "data": data,
        "storage": storage,
        "continue_from": continue_from,
        "trials": trials,
        "time_budget": time_budget,
        "concurrency": concurrency,
        "address": address,
        "tracking_uri": tracking_uri,
        "promote": False if no_promote else None,
        **gates.settings("gates."),
    }
    settings = settings_of(UpdateSettings, flags)
    with output(as_json) as out:
        from imgcls_ray.cli.judgements import print_promotion
        from imgcls_ray.cli.progress import Progress
        from imgcls_ray.pipeline import update as job

        with Progress(out) as progress:
            result = job.update(settings, progress)
        if result.promotion:
            print_promotion(out, result.promotion)
        out.line(result.sentence)
        if as_json:
            out.document(result.to_json())
    if result.interrupted:
        raise Interrupted("interrupted; the best so far is registered, and the same command goes on from here.")
