"""`imgcls search`: the search alone, on a preprocessed set."""

from typing import Annotated

import typer

from imgcls_ray.cli.options import Config, Json, Overrides
from imgcls_ray.cli.search_flags import SearchFlags


def search(
    data: Annotated[
        str, typer.Argument(metavar="PREPROCESSED", help="A preprocessed set: a folder with its index.json.")
    ],
    flags: SearchFlags,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Search on a preprocessed set, evaluate, and register the best classifier."""
    from imgcls_ray.cli.run import begun, execute

    execute(begun({"data": data, **flags.settings()}, config, overrides or []), as_json, prepared=True)
