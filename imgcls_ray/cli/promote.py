"""`imgcls promote`: a version becomes the champion, if the gates let it."""

from pathlib import Path
from typing import Annotated

import typer

from imgcls_ray.cli.gate_flags import GateFlags
from imgcls_ray.cli.options import Json, Storage, TrackingUri

REFUSED = 1
"""Exit code when a gate stands against it."""


def promote(
    gates: GateFlags,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]",
            help="NAME, NAME/VERSION or 'candidate'; a name alone means its candidate.",
            show_default="the one candidate",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="SET", help="Preprocessed set whose test pictures both answer.", show_default="the newest one's"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Promote it whatever the gates say; needs --reason.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the log.", show_default="none")] = "",
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion if it passes the gates: parity, metric, calibration, latency."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.cli.settings import settings_of
    from imgcls_ray.config import GateSettings
    from imgcls_ray.errors import SettingsError

    limits = settings_of(GateSettings, gates.settings())
    if force and not reason.strip():
        raise SettingsError("Who overrides the gates says why: add --reason 'TEXT'; it is kept in the log.")
    with output(as_json) as out:
        from imgcls_ray import quiet
        from imgcls_ray.cli.judgements import print_promotion
        from imgcls_ray.storage import Storage as Root

        quiet.import_tensorflow()
        from imgcls_ray.pipeline import promotion

        settings = promotion.PromotionSettings(limits, data, force, reason)
        result = promotion.promote(Root.at(storage), version, settings, tracking_uri)
        print_promotion(out, result)
        if as_json:
            out.document(result.to_json())
    if not result.promoted:
        raise typer.Exit(REFUSED)
