"""`imgcls augment`: changed copies of training pictures on disk, beside a split that they never cross."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Address, Json
from imgcls_ray.cli.settings import settings_of
from imgcls_ray.cli.split import show, way_of
from imgcls_ray.cli.split_flags import Data, Link, Out, SplitFlags

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.data.augmentation import Augmented

COPIES = "Copies (each P is a probability; 0 is off)"
"""The group of flags on the page of help."""


def _chance(what: str) -> Any:
    return typer.Option(metavar="P", help=what, rich_help_panel=COPIES)


def augment(
    data: Data,
    out: Out,
    per_class: Annotated[
        int, typer.Option(metavar="N", help="Training pictures to bring each class to, originals counted.")
    ],
    flags: SplitFlags,
    distort: Annotated[float, _chance("Elastic distortion, a grid of 4x4.")] = 0.0,
    flip_horizontal: Annotated[float, _chance("Left and right change places.")] = 0.5,
    flip_vertical: Annotated[float, _chance("Top and bottom change places.")] = 0.0,
    crop: Annotated[float, _chance("A part of 75 % of the area.")] = 0.5,
    rotate: Annotated[float, _chance("Turned by up to 10 degrees.")] = 0.5,
    erase: Annotated[float, _chance("A rectangle of up to 25 % of the area becomes noise.")] = 0.5,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="N or HxW (height x width) of the copies.",
            show_default="the original's",
            rich_help_panel=COPIES,
        ),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="jpeg or png.", rich_help_panel=COPIES)
    ] = "jpeg",
    link: Link = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Split pictures as 'imgcls split' does, and add changed copies to the training part. The originals stay."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.data.augmentation.settings import AugmentSettings

    settings = flags.settings()
    copies = settings_of(
        AugmentSettings,
        {
            "per_class": per_class,
            "distort": distort,
            "flip_horizontal": flip_horizontal,
            "flip_vertical": flip_vertical,
            "crop": crop,
            "rotate": rotate,
            "erase": erase,
            "size": size,
            "format": file_format,
        },
    )
    with output(as_json) as screen:
        from imgcls_ray.cli.bar import bar
        from imgcls_ray.pipeline import layouts

        with bar(screen, "augment", data) as progress:
            done = layouts.split_and_augment(data, out, copies, settings, way_of(link=link), address, progress)
        show(screen, done.arranged)
        _print(screen, done)
        if as_json:
            screen.document(done.to_json())


def _print(screen: "Output", done: "Augmented") -> None:
    copies = sum(number for _, number in done.classes.values())
    screen.line(f"{copies} beside the training pictures, {done.made} of them new", "copies", f"({done.seconds:.1f} s)")
    for name, (originals, number) in done.classes.items():
        lacking = f", {done.short[name]} could not be told from others" if name in done.short else ""
        screen.line(f"{name}: {originals} originals, {number} copies{lacking}", " ")
