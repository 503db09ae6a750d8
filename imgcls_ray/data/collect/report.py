"""What a run of collecting did, and what it tells meanwhile."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from imgcls_ray.data.collect.base import Row


class CollectListener:
    """Told from the thread that called `collect`; the base ignores everything."""

    def row_started(self, row: Row) -> None:
        """Its pictures are looked for from now on."""

    def advanced(self, done: int, asked: int) -> None:
        """`done` of all `asked` pictures are there."""

    def row_ended(self, row: Row, have: int, why: str) -> None:
        """`have`: its pictures that are there now; `why`: the reason if its search failed, else empty."""


@dataclass
class Counts:
    """Counted while it runs."""

    found: int = 0
    had: int = 0
    downloaded: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Collected:
    """What one run did."""

    out: str
    asked: int
    """Pictures that the CSV wants."""
    found: int
    """Different addresses that the provider named for rows that needed some."""
    had: int
    """Pictures wanted that were there before."""
    downloaded: int
    skipped: dict[str, int]
    """Addresses not asked, or whose picture was not kept, by cause."""
    failed: dict[str, int]
    """Addresses and searches that gave no picture, by cause."""
    short: dict[str, int]
    """By folder, how many pictures are missing from its number."""
    seconds: float
    interrupted: bool
    """Ended by Ctrl-C; another run goes on."""

    def to_json(self) -> dict[str, Any]:
        """The document of `imgcls collect --json`."""
        return {
            "asked": self.asked,
            "found": self.found,
            "had": self.had,
            "downloaded": self.downloaded,
            "skipped": self.skipped,
            "failed": self.failed,
            "short": self.short,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "out": self.out,
        }
