"""Which picture is for training, which for validation, which for the test: decided by content, not by name or order.

A threshold on a hash of the picture (or of its group) decides, so that no other picture has a say: adding or removing
some moves none of the rest, not even when everything is made again from nothing. The price is that a split's size
varies as heads of a thrown coin do (a fifth of 100 pictures is 20, give or take 4). No other rule that looks at a
picture alone does better: of pictures that are drawn independently, each then falls into the split independently, which
is the binomial distribution. Exact counts need to know the other pictures, and then moving follows.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from imgcls_ray.data.sources import Split

_GUARANTEED = 3
"""Groups of a class from which on each split gets one."""


def rank(seed: int, purpose: str, key: str) -> bytes:
    """A place in an order that is random, yet the same wherever and whenever `seed` and `key` are."""
    return hashlib.sha256(f"{seed}:{purpose}:{key}".encode()).digest()


def unit(seed: int, key: str) -> float:
    """A number in [0, 1) that stands for `key`: equally likely anywhere, and always the same."""
    return (int.from_bytes(rank(seed, "split", key)[:8]) >> 11) / 2**53  # more bits than a float has may give 1.0


@dataclass(frozen=True)
class Shares:
    """How much is drawn for the test and for validation; training takes the rest."""

    test: float
    """Of all; 0 where the source brings the test."""
    val: float
    """Of all; 0 where the source brings the validation."""

    @classmethod
    def of(cls, brought: Collection[Split], test_fraction: float, val_fraction: float) -> "Shares":
        """The shares of what the source does not bring itself; `val_fraction` is of what the test leaves."""
        test = 0.0 if "test" in brought else test_fraction
        return cls(test, 0.0 if "val" in brought else (1 - test) * val_fraction)

    @property
    def drawn(self) -> tuple[Split, ...]:
        """The splits beside training that are drawn."""
        named: tuple[tuple[Split, float], ...] = (("test", self.test), ("val", self.val))
        return tuple(split for split, share in named if share)

    def split(self, place: float) -> Split:
        """The split of what `unit` puts at `place`."""
        if place < self.test:
            return "test"
        return "val" if place < self.test + self.val else "train"


@dataclass(frozen=True)
class Group:
    """Pictures that stay together, or a single one."""

    place: float
    """Where `unit` puts it."""
    labels: frozenset[str]
    split: Split
    free: bool
    """Whether it may still be moved: it is new, and neither the source nor an earlier build decided."""


def represented(groups: Sequence[Group], drawn: Sequence[Split]) -> list[Split]:
    """The split of each group, so that training has every class, and each drawn split every class of 3 groups or more.

    This is the only exception from the threshold. It takes the free group that is next in line: of the lowest places
    for the test or validation, of the highest for training. A split is not emptied of another class for it, save for
    training.
    """
    splits = [group.split for group in groups]
    members: dict[str, list[int]] = defaultdict(list)
    counts: Counter[tuple[str, Split]] = Counter()
    for number, group in enumerate(groups):
        for label in group.labels:
            members[label].append(number)
            counts[label, group.split] += 1

    def spare(number: int) -> bool:
        return all(counts[label, splits[number]] > 1 for label in groups[number].labels)

    def move(number: int, split: Split) -> None:
        for label in groups[number].labels:
            counts[label, splits[number]] -= 1
            counts[label, split] += 1
        splits[number] = split

    for label in sorted(members):
        if not counts[label, "train"]:
            free = [n for n in members[label] if groups[n].free]
            if free:
                move(max(free, key=lambda n: (spare(n), groups[n].place)), "train")
    for label in sorted(members):
        if sum(counts[label, split] for split in ("train", *drawn)) < _GUARANTEED:
            continue
        for split in drawn:
            if not counts[label, split]:
                free = [n for n in members[label] if groups[n].free and spare(n)]
                if free:
                    move(min(free, key=lambda n: groups[n].place), split)
    return splits
