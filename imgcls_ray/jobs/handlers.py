"""Signals of a program that uses Ray."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Handlers:
    """The program's own handlers stay while Ray is used; SIGTERM acts as Ctrl-C where it has none.

    Importing Ray puts a handler of its own on SIGTERM and connecting a native one, with which the program ends at once,
    by SIGABRT and with lines of Ray's, and nothing is shut down. Outside of the main thread nothing is done: only there
    can handlers be set.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Handlers":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def put_back(self) -> None:
        """Call it when Ray is connected."""
        for number, handler in self._before.items():
            if handler not in (None, signal.SIG_DFL):
                signal.signal(number, handler)
            elif number == signal.SIGTERM:
                signal.signal(number, _interrupt)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            if handler is not None:
                signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGINT)
