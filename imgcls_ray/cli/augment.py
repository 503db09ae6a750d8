"""`imgcls augment`: changed copies of training pictures on disk, beside a split that they never cross."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Address, Json
from imgcls_ray.cli.split import (
    Data,
    GroupBy,
    Labels,
    Link,
    MaxBad,
    MultiLabel,
    Out,
    Seed,
    TestFraction,
    ValFraction,
    settings_of,
    show,
    way_of,
)

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.data.augmentation import Augmented, AugmentSettings

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
    val_fraction: ValFraction = 0.1,
    test_fraction: TestFraction = 0.2,
    link: Link = False,
    seed: Seed = 0,
    group_by: GroupBy = None,
    labels: Labels = None,
    multi_label: MultiLabel = "refuse",
    max_bad_fraction: MaxBad = 0.5,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Split pictures as 'imgcls split' does, and add changed copies to the training part. The originals stay."""
    from imgcls_ray.cli.output import output

    settings = settings_of(
        {
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "seed": seed,
            "source.group_by": group_by,
            "source.labels": labels,
            "source.multi_label": multi_label,
            "max_bad_fraction": max_bad_fraction,
        }
    )
    copies = _copies(
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
        }
    )
    with output(as_json) as screen:
        from imgcls_ray import layouts
        from imgcls_ray.cli.bar import bar

        with bar(screen, "augment", data) as progress:
            done = layouts.split_and_augment(data, out, copies, settings, way_of(link=link), address, progress)
        show(screen, done.arranged)
        _print(screen, done)
        if as_json:
            screen.document(done.to_json())


def _copies(flags: dict[str, Any]) -> "AugmentSettings":
    from imgcls_ray.cli.run import by_flag
    from imgcls_ray.config import load_settings
    from imgcls_ray.data.augmentation.settings import AugmentSettings
    from imgcls_ray.errors import SettingsError

    try:
        return load_settings(AugmentSettings, flags=flags)
    except SettingsError as error:
        raise SettingsError(by_flag(str(error), flags, {})) from error


def _print(screen: "Output", done: "Augmented") -> None:
    copies = sum(number for _, number in done.classes.values())
    screen.line(f"{copies} beside the training pictures, {done.made} of them new", "copies", f"({done.seconds:.1f} s)")
    for name, (originals, number) in done.classes.items():
        lacking = f", {done.short[name]} could not be told from others" if name in done.short else ""
        screen.line(f"{name}: {originals} originals, {number} copies{lacking}", " ")
