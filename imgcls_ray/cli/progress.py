"""Live progress of the main job: a bar per step on a terminal, a line per event in a log."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from imgcls_ray.config import TrialSettings
from imgcls_ray.pipeline import RunListener
from imgcls_ray.search.listener import StudyInfo, TrialOutcome


class Progress(RunListener):
    """Shows each step while it runs and keeps one line of it afterwards."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._name, self._started = "", 0.0
        self._trials, self._ended = 0, 0
        self._best: float | None = None

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def step_started(self, name: str, what: str) -> None:
        self._name, self._started = name, time.perf_counter()
        self._console.print(f"[bold]{name:<10}[/] {what}")
        self._task = self._bars.add_task(name, total=None, note="")

    def step_advanced(self, done: int, total: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def step_ended(self, summary: str) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self._console.print(f"{'':<10} {summary} [dim]({time.perf_counter() - self._started:.1f} s)[/]")

    def study_started(self, study: StudyInfo) -> None:
        self._trials = study.trials
        self.step_advanced(0, study.trials)

    def trial_started(self, number: int, params: TrialSettings) -> None:
        """Nothing to show yet: a trial is told of when it ends."""

    def trial_ended(self, outcome: TrialOutcome) -> None:
        self._ended += 1
        if outcome.value is not None and outcome.state != "failed":
            better = self._best is None or outcome.value > self._best
            self._best = outcome.value if better else self._best
        if self._task is not None:
            note = "" if self._best is None else f"best {self._best:.4f}"
            self._bars.update(self._task, completed=self._ended, total=self._trials, note=note)
        if not self._console.is_terminal:
            value = "-" if outcome.value is None else f"{outcome.value:.4f}"
            tail = f" ({outcome.reason})" if outcome.reason else ""
            self._console.print(
                f"{'':<10} trial {outcome.number}: {outcome.state}, {value} after {outcome.epochs} epochs{tail}"
            )
