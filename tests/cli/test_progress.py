import io
import re
import time

import pytest
from rich.console import Console

from imgcls_ray.cli.output import Output
from imgcls_ray.cli.progress import Progress
from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import StudyInfo, TrialOutcome, TrialState

LONG = "/a/very/long/path/of/[red]pictures[/red]/" + "x" * 100


def told(terminal: bool, width: int = 60) -> str:
    """What a made-up run prints."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, highlight=False, color_system=None)
    pause = 0.3 if terminal else 0  # the bars are drawn ten times a second
    with Progress(Output(console, lambda document: None)) as progress:
        progress.step_started("preprocess", LONG)
        progress.step_advanced(3, 7)
        time.sleep(pause)
        progress.step_ended("7 pictures")
        progress.step_started("search", "3 trials")
        progress.study_started(StudyInfo("study", 3, {}, {}))
        states: list[tuple[TrialState, float | None]] = [("complete", 0.5), ("pruned", 0.25), ("failed", None)]
        for number, (state, value) in enumerate(states):
            progress.trial_started(number, TrialSettings())
            time.sleep(pause)
            reason = "the loss is no longer a number [nan]" if state == "failed" else None
            progress.trial_ended(TrialOutcome(number, state, value, TrialSettings(), 1 + number, 2.0, reason=reason))
        progress.step_ended("best 0.5")
    return file.getvalue()


def test_a_log_has_a_line_per_event() -> None:
    lines = re.sub(r"\(\d+\.\d s\)", "(T)", told(terminal=False)).splitlines()
    assert lines == [
        f"preprocess {LONG}",
        "           7 pictures (T)",
        "search     3 trials",
        "           trial 0: complete, 0.5000 after 1 epoch, 2.0 s",
        "           trial 1: pruned, 0.2500 at its best in 2 epochs, 2.0 s",
        "           trial 2: failed, no score after 3 epochs, 2.0 s (the loss is no longer a number [nan])",
        "           best 0.5 (T)",
    ]


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_terminal_has_a_bar_and_keeps_what_matters(width: int) -> None:
    text = told(terminal=True, width=width)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    for kept in (f"preprocess {LONG}\n", "trial 2: failed", "best 0.5"):
        assert kept in plain
    for shown in ("starting", "3/7", "0/3", "1/3", "2/3", "1 running"):
        assert shown in plain
    assert "trial 0" not in plain  # the bar counts it
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back


def test_an_interrupted_run_gives_the_terminal_back() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80)
    with pytest.raises(KeyboardInterrupt), Progress(Output(console, lambda document: None)) as progress:
        progress.step_started("search", "3 trials")
        raise KeyboardInterrupt
    assert file.getvalue().rstrip().endswith(("\x1b[?25h", "\x1b[2K"))
