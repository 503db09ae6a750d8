"""How often one may ask: a token bucket for each key, or each address where there are no keys."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 10_000
"""Buckets kept; the one that was used longest ago goes first. A full one says no more than none."""


class RateLimit:
    """At most `rate` requests a second in the long run, and as many at once after a quiet second, at least one."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._size, self._clock = rate, max(1.0, rate), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By who asks: tokens left and when that was."""

    def wait(self, who: str) -> int:
        """Take a token: 0, or where there is none whole seconds until there is."""
        now = self._clock()
        tokens, since = self._buckets.pop(who, (self._size, now))
        tokens = min(self._size, tokens + (now - since) * self._rate)
        allowed = tokens >= 1
        self._buckets[who] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - tokens) / self._rate))
