"""`imgcls request`: pictures as requests for a served SavedModel."""

from pathlib import Path
from typing import Annotated

import typer

from imgcls_ray.cli.options import Json


def request(
    images: Annotated[list[str], typer.Argument(help="Picture files.", metavar="IMG...")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File for the lines of JSON.")],
    longest: Annotated[
        int | None,
        typer.Option(min=1, metavar="PIXELS", help="Make pictures with a longer side smaller.", show_default="as is"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write pictures as the requests that the SavedModel of `imgcls export` takes."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.use.requests import write_requests

    with output(as_json) as screen:
        written = write_requests(images, out, longest)
        if as_json:
            screen.document(written.to_json())
            return
        screen.line(f"{written.path}   {written.pictures} pictures", "written")
        if written.encoded:
            screen.line(f"{len(written.encoded)} of them as JPEG anew", after="formats, EXIF orientation or size")
