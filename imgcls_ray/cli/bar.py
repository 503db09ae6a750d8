"""A single bar of progress, for verbs with one step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from imgcls_ray.cli.output import Output


@contextmanager
def bar(out: Output, name: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """Say what is worked on, and show a bar on a terminal; yields `progress(done, total)`."""
    out.line(what, name)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out.console, transient=True, disable=not out.console.is_terminal) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
