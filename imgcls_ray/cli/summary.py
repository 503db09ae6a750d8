"""The table at the end of the main job."""

import shlex

from rich.console import Console
from rich.table import Table

from imgcls_ray.result import RunResult


def print_summary(console: Console, result: RunResult) -> None:
    """Best settings, figures against the defaults, where things are, what to type next."""
    best, defaults = result.study.best, result.study.defaults
    table = Table(title=f"Study {result.study.name}", title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    against = "" if defaults is None or defaults.value is None else f"   defaults {defaults.value:.4f}"
    table.add_row("validation accuracy", f"[bold]{best.value:.4f}[/]{against}   (trial {best.number})")
    table.add_row(
        "test accuracy",
        f"[bold]{result.test.accuracy:.4f}[/]   macro F1 {result.test.f1_macro:.4f}   on {result.test.images} pictures",
    )
    states = [trial.state for trial in result.study.trials]
    table.add_row("trials", f"{len(states)}, of them {states.count('pruned')} stopped, {states.count('failed')} failed")
    for name, value in best.params.model_dump(mode="json", exclude_unset=True).items():
        table.add_row(f"  {name}", f"{value:.4g}" if isinstance(value, float) else str(value))
    table.add_row("bundle", result.bundle)
    table.add_row("registered", f"{result.model} (version {result.model.version})")
    seconds = result.seconds
    table.add_row(
        "seconds",
        f"preprocess {seconds.preprocess:.1f}, embed {seconds.embed:.1f}, search {seconds.search:.1f}, "
        f"evaluate {seconds.evaluate:.1f}, total {seconds.total:.1f}",
    )
    console.print()
    console.print(table)
    storage = shlex.quote(result.storage)
    console.print("\n[bold]Next[/]")
    for command in (
        f"imgcls classify PICTURE --model {result.model} --storage {storage}",
        f"imgcls serve --model {result.model} --storage {storage}",
        f"imgcls ui --storage {storage}",
    ):
        console.print(f"  {command}", soft_wrap=True)
