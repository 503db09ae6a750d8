"""`imgcls compare`: architectures of several studies and models, side by side."""

import csv
import io
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Storage

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.use.comparison import Compared, Comparison

COLUMNS = ("architecture", "head", "parameters", "MB", "val loss", "val accuracy", "test", "seconds", "ms", "from")
ORDERS = ("val_accuracy", "val_loss", "parameters", "seconds")


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY|MODEL]...", help="Studies by name, bundles, models:/NAME@ALIAS."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", metavar="", help="All trials, not the best of each architecture alone.")
    ] = False,
    sort: Annotated[
        str, typer.Option(metavar="NAME", help="val_accuracy, val_loss, parameters or seconds.")
    ] = "val_accuracy",
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the table to this file too.", show_default="none"),
    ] = None,
    storage: Storage = "./imgcls-runs",
    as_json: Json = False,
) -> None:
    """Print architecture, head, parameters, validation loss and accuracy of the best trial of each architecture."""
    from imgcls_ray import quiet
    from imgcls_ray.cli.output import output
    from imgcls_ray.data.files import check_output
    from imgcls_ray.errors import SettingsError, ending

    if sort not in ORDERS:
        raise SettingsError(f"--sort is one of {', '.join(ORDERS)}; received '{sort}'{ending(sort, ORDERS)}")
    if csv_file is not None:
        check_output(csv_file := csv_file.expanduser(), "The table", ".csv")
    with output(as_json) as out:
        quiet.import_tensorflow()
        from imgcls_ray.storage import Storage as Root
        from imgcls_ray.use.comparison import compare as compared

        found = compared(names or [], Root.at(storage).root, every, sort)  # type: ignore[arg-type]
        if csv_file is not None:
            _write(csv_file, found)
        if as_json:
            out.document(found.to_json())
        else:
            _print(out, found)
            if csv_file is not None:
                out.line(str(csv_file), "table")


def _write(file: Path, found: "Comparison") -> None:
    from imgcls_ray.data.files import storing, write_atomic

    text = io.StringIO()
    names = [field.name for field in fields(found.rows[0])]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in found.rows)
    with storing(file):
        write_atomic(file, text.getvalue().encode())


def _print(out: "Output", found: "Comparison") -> None:
    from rich.table import Table
    from rich.text import Text

    cells = [_cells(row) for row in found.rows]
    filled = [place for place in range(len(COLUMNS)) if any(line[place] for line in cells)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in filled:
        words = COLUMNS[place] in ("architecture", "head", "from")
        table.add_column(COLUMNS[place], justify="left" if words else "right", no_wrap=not words, overflow="fold")
    best = min(found.rows, key=lambda row: (-row.val_accuracy, row.val_loss))
    for row, line in zip(found.rows, cells, strict=True):
        table.add_row(*(Text(line[place]) for place in filled), style="bold" if row == best else "")
    out.table(table)
    if found.warning:
        out.console.print(Text(found.warning, style="yellow"), soft_wrap=True)


def _cells(row: "Compared") -> list[str]:
    def shown(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:,.{digits}f}"

    return [
        row.architecture,
        row.head,
        shown(row.parameters, 0),
        shown(row.size_mb, 1),
        shown(row.val_loss, 4),
        shown(row.val_accuracy, 4),
        shown(row.test_accuracy, 4),
        shown(row.seconds, 1),
        shown(row.ms, 1),
        row.source if row.trial is None else f"{row.source}/{row.trial}",
    ]
