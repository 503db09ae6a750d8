"""The flags that say what stands in which split on disk, of `imgcls split` and `imgcls augment`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from imgcls_ray.data.arrange import ArrangeSettings

Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="Folder, table (.csv, .tsv, .jsonl), archive (.zip, .tar.gz) or URI."),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for train, val and test; made or brought up to date.")]
Link = Annotated[bool, typer.Option("--link", metavar="", help="Link the files instead: they take no space.")]


@dataclass(frozen=True)
class SplitFlags:
    """One field per flag."""

    val_fraction: Annotated[
        float, typer.Option(metavar="X", help="Share of what is left that is kept for validation.")
    ] = 0.1
    test_fraction: Annotated[
        float, typer.Option(metavar="X", help="Share kept for the test, where the data has none; 0 makes none.")
    ] = 0.2
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the split, as that of preprocess.")] = 0
    group_by: Annotated[
        str | None,
        typer.Option(metavar="RE", help="Regular expression; its first group in a path names what stays together."),
    ] = None
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="File with one class name a line; others are left out.")
    ] = None
    multi_label: Annotated[str, typer.Option(metavar="NAME", help="Rows with several labels: refuse, or first.")] = (
        "refuse"
    )
    max_bad_fraction: Annotated[
        float, typer.Option(metavar="X", help="Share of unusable files above which nothing is done.")
    ] = 0.5

    def settings(self) -> "ArrangeSettings":
        """The settings that they name; errors speak of the flags."""
        from imgcls_ray.cli.settings import settings_of
        from imgcls_ray.data.arrange.settings import ArrangeSettings

        return settings_of(
            ArrangeSettings,
            {
                "val_fraction": self.val_fraction,
                "test_fraction": self.test_fraction,
                "seed": self.seed,
                "source.group_by": self.group_by,
                "source.labels": self.labels,
                "source.multi_label": self.multi_label,
                "max_bad_fraction": self.max_bad_fraction,
            },
        )
