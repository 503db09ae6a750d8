"""`imgcls adopt`: kept pictures that people have labelled, into the data that the next update reads."""

from pathlib import Path
from typing import Annotated

import typer

from imgcls_ray.cli.options import Json


def adopt(
    kept: Annotated[Path, typer.Argument(metavar="KEPT", help="The folder that `imgcls serve --keep` filled.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The folder with one folder per class.")],
    as_json: Json = False,
) -> None:
    """Copy the pictures that have a label in KEPT's tables into the class folders of DATA."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.data.adopting import adopt as run

    with output(as_json) as out:
        done = run(kept, data)
        out.line(f"{done.sentence}.")
        if as_json:
            out.document(done.to_json())
