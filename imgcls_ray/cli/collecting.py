"""Live progress of collecting: a bar on a terminal, a line per row of the CSV in a log."""

import sys
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from imgcls_ray.cli.output import Output
from imgcls_ray.data.collect import CollectListener, Row


class Bar(CollectListener):
    """Counts the pictures that are there."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._bars = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=out.console,
            transient=True,
            disable=not out.console.is_terminal,
            redirect_stderr=sys.stderr.isatty(),  # what goes to a file stays out of the terminal
        )
        self._task = self._bars.add_task("", total=0)

    def __enter__(self) -> "Bar":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def row_started(self, row: Row) -> None:
        self._bars.update(self._task, description=f"{row.folder}: {row.term}")

    def advanced(self, done: int, asked: int) -> None:
        self._bars.update(self._task, completed=done, total=asked)

    def row_ended(self, row: Row, have: int, why: str) -> None:
        missing = f" ({why})" if why else ""
        self._out.line(f"{have} of {row.number}{missing}", row.folder, row.term if row.term != row.label else "")
