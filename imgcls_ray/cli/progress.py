"""Live progress of the main job: a bar per step on a terminal, a line per event in a log."""

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from imgcls_ray.cli.output import INDENT, Output
from imgcls_ray.config import TrialSettings
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.search.listener import StudyInfo, TrialOutcome
from imgcls_ray.search.objective import ACCURACY, Second

MARGIN = " " * (INDENT + 1)
WIDE = 80
"""Columns of a terminal that has room for a long bar."""


class Progress(RunListener):
    """Shows each step while it runs and keeps one line of it afterwards."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._live = out.console.is_terminal
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24 if out.console.width >= WIDE else 8),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=out.console,
            transient=True,
            disable=not self._live,
            # What goes to a file stays out of the terminal.
            redirect_stderr=sys.stderr.isatty(),
        )
        self._task: TaskID | None = None
        self._started = 0.0
        self._trials, self._running, self._ended = 0, 0, 0
        self._best: float | None = None
        self._objective = ACCURACY
        self._second: Second | None = None

    def __enter__(self) -> "Progress":
        self._bars.start()
        self._begin("starting Ray and TensorFlow")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._bars.stop()

    def step_started(self, name: str, what: str) -> None:
        self._end()
        self._out.line(what, name)
        self._begin(name)

    def step_advanced(self, done: int, total: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total, count=f"{done}/{total}")

    def step_ended(self, summary: str) -> None:
        self._end()
        self._out.line(MARGIN + summary, after=f"({time.perf_counter() - self._started:.1f} s)")

    def study_started(self, study: StudyInfo) -> None:
        self._trials, self._objective, self._second = study.trials, study.objective, study.second
        self._show()

    def study_told(self, sentence: str) -> None:
        self._out.line(MARGIN + sentence)

    def trial_started(self, number: int, params: TrialSettings) -> None:  # noqa: ARG002 - the listener's signature
        self._running += 1
        self._show()

    def trial_ended(self, outcome: TrialOutcome) -> None:
        self._running, self._ended = self._running - 1, self._ended + 1
        failed = outcome.state == "failed"
        if outcome.value is not None and not failed:
            known = [outcome.value] if self._best is None else [self._best, outcome.value]
            self._best = max(known, key=self._objective.gain)
        self._show()
        if failed or not self._live:
            self._out.line(MARGIN + _told(outcome, self._second))

    def _begin(self, name: str) -> None:
        self._started = time.perf_counter()
        self._task = self._bars.add_task(name, total=None, count="", note="")

    def _end(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def _show(self) -> None:
        if self._task is not None:
            best = "" if self._best is None else f", best {self._best:.4f}"
            self._bars.update(self._task, note=f"{self._running} running{best}")
            self.step_advanced(self._ended, self._trials)


def _told(outcome: TrialOutcome, second: Second | None) -> str:
    value = "no score" if outcome.value is None else f"{outcome.value:.4f}"
    if second and outcome.second is not None:
        value += f" at {second.shown(outcome.second)}"
    epochs = "after 1 epoch" if outcome.epochs == 1 else f"at its best in {outcome.epochs} epochs"
    if outcome.value is None:
        epochs = f"after {outcome.epochs} epoch{'' if outcome.epochs == 1 else 's'}"
    reason = f" ({outcome.reason})" if outcome.reason else ""
    return f"trial {outcome.number}: {outcome.state}, {value} {epochs}, {outcome.seconds:.1f} s{reason}"
