"""`imgcls split`: labelled pictures into folders for training, validation and test."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Address, Json

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.data.arrange import Arranged, ArrangeSettings, Way

Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="Folder, table (.csv, .tsv, .jsonl), archive (.zip, .tar.gz) or URI."),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for train, val and test; made or brought up to date.")]
TestFraction = Annotated[
    float, typer.Option(metavar="X", help="Share kept for the test, where the data has none; 0 makes none.")
]
ValFraction = Annotated[float, typer.Option(metavar="X", help="Share of what is left that is kept for validation.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of the split, as that of preprocess.")]
Labels = Annotated[
    str | None, typer.Option(metavar="FILE", help="File with one class name a line; others are left out.")
]
MultiLabel = Annotated[str, typer.Option(metavar="NAME", help="Rows with several labels: refuse, or first.")]
GroupBy = Annotated[
    str | None,
    typer.Option(metavar="RE", help="Regular expression; its first group in a path names what stays together."),
]
MaxBad = Annotated[float, typer.Option(metavar="X", help="Share of unusable files above which nothing is done.")]
Link = Annotated[bool, typer.Option("--link", metavar="", help="Link the files instead: they take no space.")]

FLAGS = {"source.labels": "--labels", "source.multi_label": "--multi-label", "source.group_by": "--group-by"}
"""Flags that are not called as their settings are."""


def split(
    data: Data,
    out: Out,
    val_fraction: ValFraction = 0.1,
    test_fraction: TestFraction = 0.2,
    copy: Annotated[bool, typer.Option("--copy", metavar="", help="Copy the files; the default.")] = False,
    link: Link = False,
    move: Annotated[
        bool, typer.Option("--move", metavar="", help="Move the files, once all are checked; others stay.")
    ] = False,
    seed: Seed = 0,
    group_by: GroupBy = None,
    labels: Labels = None,
    multi_label: MultiLabel = "refuse",
    max_bad_fraction: MaxBad = 0.5,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Put pictures into train, val and test, without leaks. New ones can be added later; no old one changes sides."""
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
    way = way_of(copy=copy, link=link, move=move)
    with output(as_json) as screen:
        from imgcls_ray import layouts
        from imgcls_ray.cli.bar import bar

        with bar(screen, "split", data) as progress:
            done = layouts.split(data, out, settings, way, address, progress)
        show(screen, done)
        if as_json:
            screen.document(done.to_json())


def settings_of(flags: dict[str, Any]) -> "ArrangeSettings":
    """The settings that the flags name; errors speak of the flags."""
    from imgcls_ray.cli.run import by_flag
    from imgcls_ray.config import load_settings
    from imgcls_ray.data.arrange.settings import ArrangeSettings
    from imgcls_ray.errors import SettingsError

    try:
        return load_settings(ArrangeSettings, flags=flags)
    except SettingsError as error:
        raise SettingsError(by_flag(str(error), flags, FLAGS)) from error


def way_of(**chosen: bool) -> "Way":
    """The one of copy, link and move that was chosen, or copy."""
    from imgcls_ray.errors import SettingsError

    named = [way for way, given in chosen.items() if given]
    if len(named) > 1:
        raise SettingsError(f"Pictures are copied, linked or moved; received --{' and --'.join(named)}: choose one.")
    return named[0] if named else "copy"  # type: ignore[return-value]


def show(screen: "Output", done: "Arranged") -> None:
    """Say what was left out and why, and what there is now."""
    from imgcls_ray.data.plan import causes

    counts = done.counts
    found = f"{counts.used} of {counts.found} pictures ({counts.rejected} rejected, {counts.duplicates} duplicates)"
    screen.line(found, "pictures", after=f"({done.seconds:.1f} s)")
    for cause, number in causes(done.rows).items():
        screen.line(f"{number:>11} {cause}")
    splits = {split: sum(classes.values()) for split, classes in done.splits.items()}
    screen.line(", ".join(f"{number} {split}" for split, number in splits.items()), "splits")
    other = [(done.kept, "are in the folder but not in the data any more"), (done.removed, "were taken out again")]
    notes = "".join(f", {number} {what}" for number, what in other if number)
    screen.line(f"{done.placed} new{notes}", done.way)
    screen.line(str(done.path), "folder")
