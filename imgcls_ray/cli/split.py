"""`imgcls split`: labelled pictures into folders for training, validation and test."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Address, Json
from imgcls_ray.cli.split_flags import Data, Link, Out, SplitFlags

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.data.arrange import Arranged, Way


def split(
    data: Data,
    out: Out,
    flags: SplitFlags,
    copy: Annotated[bool, typer.Option("--copy", metavar="", help="Copy the files; the default.")] = False,
    link: Link = False,
    move: Annotated[
        bool, typer.Option("--move", metavar="", help="Move the files, once all are checked; others stay.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Put pictures into train, val and test, without leaks. New ones can be added later; no old one changes sides."""
    from imgcls_ray.cli.output import output

    settings = flags.settings()
    way = way_of(copy=copy, link=link, move=move)
    with output(as_json) as screen:
        from imgcls_ray.cli.bar import bar
        from imgcls_ray.pipeline import layouts

        with bar(screen, "split", data) as progress:
            done = layouts.split(data, out, settings, way, address, progress)
        show(screen, done)
        if as_json:
            screen.document(done.to_json())


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
