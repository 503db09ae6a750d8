"""Ctrl-C during a search: the first one asks for an orderly end, the second one ends at once."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

PATIENCE = 10.0
"""Seconds that a running epoch has to end by itself."""


class Interruption:
    """Takes SIGINT and SIGTERM inside its block. The first of either is noted here, and hands back the old handlers.

    Outside of the main thread, where no handler can be set, nothing is done. A signal that is ignored stays so.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._since: float | None = None

    @property
    def requested(self) -> bool:
        """Whether the search is to end."""
        return self._since is not None

    @property
    def impatient(self) -> bool:
        """Whether running epochs had their time to end."""
        return self._since is not None and time.monotonic() - self._since > PATIENCE

    def request(self) -> None:
        """Ask for the end, as the first signal does."""
        if self._since is None:
            self._since = time.monotonic()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
            for number in self._before:
                signal.signal(number, self._noted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_back()

    def _noted(self, _number: int, _frame: FrameType | None) -> None:
        self.request()
        self._put_back()

    def _put_back(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its stopper beside its own state; handlers may be native ones.
        return {"_before": {}, "_since": self._since}
