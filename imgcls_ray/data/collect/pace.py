"""How often a host is asked: a steady pace, the waits it asks for, and an end when it does not answer."""

import threading
import time
from dataclasses import dataclass

from imgcls_ray.data.collect.errors import Again, FetchError, Stopped

GIVE_UP = 5
"""Requests in a row without any answer after which a host is not asked again in this run."""


@dataclass
class _Host:
    interval: float
    slot: float = 0.0
    held: float = 0.0
    silent: int = 0


class Pace:
    """Shared by all threads. Hosts are names with ports, as in an address."""

    def __init__(self, rate: float, max_wait: float, stop: threading.Event) -> None:
        """`rate` in requests a second and host; `max_wait` in seconds; a set `stop` ends every wait."""
        self._interval = 1 / rate
        self._max_wait = max_wait
        self._stop = stop
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def slow(self, host: str, seconds: float) -> None:
        """Let at least `seconds` pass between two requests to `host`."""
        with self._lock:
            state = self._state(host)
            state.interval = max(state.interval, seconds)

    def wait(self, host: str) -> None:
        """Return when `host` may be asked.

        Raises:
            FetchError: it asked for a longer wait than is allowed, or did not answer several times.
            Stopped: the run is ending.
        """
        with self._lock:
            state = self._state(host)
            state.slot = until = max(time.monotonic(), state.slot + state.interval, state.held)
        while True:
            self.sleep(0)
            if state.silent >= GIVE_UP:
                raise FetchError(f"host does not answer ({host})", Again.LATER)
            if state.held - time.monotonic() > self._max_wait:
                raise FetchError(f"host asks to wait ({host}, {state.held - time.monotonic():.0f} s)", Again.LATER)
            left = max(until, state.held) - time.monotonic()  # another thread may have been told to wait meanwhile
            if left <= 0:
                return
            self.sleep(min(left, 60.0))

    def hold(self, host: str, seconds: float) -> None:
        """`host` asked not to be asked for `seconds`."""
        with self._lock:
            state = self._state(host)
            state.held = max(state.held, time.monotonic() + seconds)

    def answered(self, host: str, answered: bool) -> None:
        """Count whether `host` answered at all, whatever it said."""
        with self._lock:
            state = self._state(host)
            state.silent = 0 if answered else state.silent + 1

    def sleep(self, seconds: float) -> None:
        """Wait, or end at once with the run.

        Raises:
            Stopped: the run is ending.
        """
        if self._stop.wait(seconds):
            raise Stopped

    def _state(self, host: str) -> _Host:
        return self._hosts.setdefault(host, _Host(self._interval, time.monotonic() - self._interval))
