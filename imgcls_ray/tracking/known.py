"""What earlier starts of a study have put into its outbox."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from imgcls_ray.tracking.record import STATE, Record

SAME = 1e-4
"""An epoch that is trained again from a checkpoint has the values it had but for the order of sums."""


@dataclass
class Known:
    """Of a study's trials, by number; whoever adds a record keeps it up."""

    begun: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    epochs: dict[tuple[int, int], Mapping[str, float]] = field(default_factory=dict)
    """The metrics of each trial's epochs."""
    best: float = -math.inf
    """The best value so far, such that more is better."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """The tags that the study's run was made with: it is found by them wherever the storage is moved."""

    @classmethod
    def of(cls, records: Iterable[Record], so_far: str, gain: Callable[[float], float]) -> "Known":
        """From the outbox; `so_far` is the name of the best value's metric."""
        known = cls()
        for record in records:
            if record.trial is None:
                known.identity = known.identity or record.start or {}
                if so_far in record.metrics:
                    known.best = max(known.best, gain(record.metrics[so_far]))
            elif record.start is not None:
                known.begun.add(record.trial)
                known.ended.discard(record.trial)
            elif record.is_metrics and record.step:
                known.epochs[record.trial, record.step] = record.metrics
            elif STATE in record.tags:
                known.ended.add(record.trial)
        return known

    def has(self, number: int, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Whether an epoch was recorded with these metrics, whatever time it took."""
        before = self.epochs.get((number, epoch), {})
        names = metrics.keys() - {"seconds"}
        return bool(before) and all(
            math.isclose(before.get(name, math.nan), metrics[name], rel_tol=SAME) for name in names
        )
