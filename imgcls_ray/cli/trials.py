"""`imgcls trials`: what became of each trial of a study, read from its journal; the study may be running."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Json, Storage

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.search.objective import Second

STATES = ("complete", "pruned", "failed", "running")


def trials(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")],
    state: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only these: complete, pruned, failed or running.", show_default="all"),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, metavar="N", help="The best N only.", show_default="all")] = None,
    front: Annotated[
        bool, typer.Option("--front", metavar="", help="Only those that no other beats in both objectives.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the study's report to this file as well.", show_default="none"),
    ] = None,
    storage: Storage = "./imgcls-runs",
    as_json: Json = False,
) -> None:
    """List the trials of a study, the best first. A trial that was cut off by a kill counts as running."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.data.files import check_output
    from imgcls_ray.errors import SettingsError, ending
    from imgcls_ray.search.journal import read_study
    from imgcls_ray.search.objective import second_of
    from imgcls_ray.search.record import known_study
    from imgcls_ray.search.rows import trial_rows
    from imgcls_ray.storage import Storage as Root

    if state is not None and state not in STATES:
        raise SettingsError(f"--state is one of {', '.join(STATES)}; received '{state}'{ending(state, STATES)}")
    if html is not None:
        check_output(html := html.expanduser(), "A report", ".html", ".htm")
    root = Root.at(storage)
    folder = root.study(study)
    second = second_of(known_study(root.studies, study).parts.get("search.second_objective", "none"))
    if front and second is None:
        raise SettingsError(
            f"--front is for studies with two objectives, and '{study}' has one: leave it out, or search with "
            "--second-objective."
        )
    found = read_study(folder, study)
    listed = [row for row in trial_rows(found) if state in (None, row.state) and row.front >= front]
    rows = [row.to_json(pair=second is not None) for row in listed[:top]]
    with output(as_json) as out:
        if html is not None:
            from imgcls_ray.reports.study.page import write_study_page

            write_study_page(html, found)
        if as_json:
            out.document(rows)
        else:
            _print(out, rows, second)
            if html is not None:
                out.line(str(html), "report")


def _print(out: "Output", rows: list[dict[str, Any]], second: "Second | None") -> None:
    from rich.table import Table
    from rich.text import Text

    staged = any("from_trial" in row["params"] for row in rows)
    varied = [name for name in _varied([row["params"] for row in rows]) if name != "from_trial"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    pair = [second.words, "front"] if second else []
    for name in ("trial", "state", "value", *pair, "epochs", "seconds"):
        table.add_column(name, justify="left" if name in ("state", "front") else "right", no_wrap=True)
    if staged:
        table.add_column("from", justify="right", no_wrap=True)
    table.add_column("settings that differ", overflow="fold")
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:.4f}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        both = [_shown(second, row["values"][1]), "yes" if row["front"] else ""] if second else []
        cells = [str(row["number"]), row["state"], value, *both, str(row["epochs"]), seconds]
        if staged:
            cells.append(str(row["params"].get("from_trial", "")))
        chosen = ((name, _short(row["params"][name])) for name in varied if name in row["params"])
        table.add_row(*cells, Text("  ".join(f"{name}={value}" for name, value in chosen)))
    out.table(table)


def _shown(second: "Second", value: float | None) -> str:
    return "" if value is None else second.shown(value)


def _varied(params: list[dict[str, Any]]) -> list[str]:
    """The parameters that not all trials have the same value of, in their order."""
    names = list(dict.fromkeys(name for one in params for name in one))
    return [name for name in names if len({str(one.get(name)) for one in params}) > 1]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
