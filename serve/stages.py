"""Where a request's time went: told in the header Server-Timing and in the request log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Milliseconds by stage, in the order in which they came: read, wait, decode, predict."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.milliseconds: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Count so many seconds for a stage."""
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + 1000 * seconds

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of a block."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - before)

    @property
    def total(self) -> float:
        """Milliseconds since the request came."""
        return 1000 * (time.perf_counter() - self.started)

    def header(self) -> str:
        """As Server-Timing (W3C) has it: `decode;dur=2.1, predict;dur=3.4`."""
        return ", ".join(f"{stage};dur={value:.2f}" for stage, value in self.milliseconds.items())
