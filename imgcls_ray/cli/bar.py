"""A single bar of progress, for verbs with one step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from imgcls_ray.cli.output import Output


@contextmanager
def bar(out: Output, name: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields `progress(done, total)`; its first call says what is worked on, so that a refusal before stands alone."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out.console, transient=True, disable=not out.console.is_terminal) as bars:
        task = bars.add_task("starting", total=None)
        said = False

        def advance(done: int, total: int) -> None:
            nonlocal said
            if not said:
                out.line(what, name)
                said = True
            bars.update(task, description=name, completed=done, total=total)

        yield advance
