"""Which pictures of a large set are the same for practical purposes."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from imgcls_ray.data.similarity import SIDE, Look, Pixels, contrast, distance

Ints = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.uint64]]

MOST_BITS = 8
"""Hashes that differ in more bits are not compared further."""
MOST_DISTANCE = 0.08
"""Signatures that are further apart are different pictures."""
LEAST_CONTRAST = 4.0
"""In gray levels; below it a look is mostly rounding, and is like nothing."""

_CHUNK_BITS = 16
_CHUNKS = 64 // _CHUNK_BITS
_CANDIDATES = 2_000_000
_FEW = 1024
_CONFIRMED = 4096
_MOST_ALIKE = 64
_MOST_LEADERS = 64


def near_pairs(looks: Sequence[Look | None]) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of looks that belong to the same picture: encoded again, resized, brightened, cropped a bit.

    Hashes within `MOST_BITS` are found without comparing all with all, by multi-index hashing (Norouzi, Punjani,
    Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012): of four chunks one differs in two bits
    at most. Then signatures decide.

    Of more than 64 looks with one hash, the first ones lead: each other one is paired with the first leader it is
    like, and only leaders are compared with the looks of other hashes. So a set that holds one picture 50,000 times
    gives 50,000 pairs.

    The limits come from copies of 300 photographs, found again: saved as PNG, as JPEG of quality 50, at half the size,
    10 levels brighter or in gray 100 %, decoded at half or a quarter of the size 99 %, 2 % cut off at each border 67 %,
    5 % cut off 2 %. Of 4,875 photographs all 20 pairs found were seen to be true ones; 6,000 hand-written digits, of
    which many are much alike, give none.

    Raises:
        ValueError: a look that `look_of` did not make.
    """
    places, codes, signatures = _comparable(looks)
    found: list[tuple[Ints, Ints]] = []
    leading: list[int] = []
    for run in _equal(codes):
        if len(run) <= _MOST_ALIKE:
            leading.extend(run)
            continue
        leaders, led, by = _led(run, signatures)
        leading.extend(leaders)
        found.append((led, by))
    compared = np.array(sorted(leading), dtype=np.int64)
    for first, second in _close(codes[compared]):
        one, other = compared[first], compared[second]
        near = _confirmed(signatures, one, other)
        found.append((one[near], other[near]))
    pairs = {
        (min(i, j), max(i, j)) for ones, others in found for i, j in zip(ones.tolist(), others.tolist(), strict=True)
    }
    return sorted((int(places[i]), int(places[j])) for i, j in pairs)


class Clusters:
    """Which of `count` things hang together, by union and find (Tarjan 1975)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def find(self, one: int) -> int:
        """The smallest member of the cluster that `one` is in."""
        while self._parents[one] != one:
            self._parents[one] = self._parents[self._parents[one]]
            one = self._parents[one]
        return one

    def unite(self, one: int, other: int) -> int:
        """Make the clusters of both one; returns its smallest member."""
        first, second = sorted((self.find(one), self.find(other)))
        self._parents[second] = first
        return first


def _comparable(looks: Sequence[Look | None]) -> tuple[Ints, Codes, Pixels]:
    """The places, hashes and signatures of the looks that mean something."""
    known = [(place, look) for place, look in enumerate(looks) if look is not None]
    bad = next((look for _, look in known if len(look.signature) != SIDE * SIDE or len(look.phash) != 16), None)
    if bad:
        raise ValueError(f"a look has 16 hex digits and {SIDE * SIDE} bytes; received {bad}")
    places = np.array([place for place, _ in known], dtype=np.int64)
    codes = np.array([int(look.phash, 16) for _, look in known], dtype=np.uint64)
    joined = b"".join(look.signature for _, look in known)
    signatures = np.frombuffer(joined, np.uint8).reshape(-1, SIDE * SIDE)
    blocks = range(0, len(known), _CONFIRMED)
    clear = [contrast(signatures[start : start + _CONFIRMED]) >= LEAST_CONTRAST for start in blocks]
    meant = np.concatenate(clear) if clear else np.zeros(0, dtype=bool)
    return places[meant], codes[meant], signatures[meant]


def _equal(codes: Codes) -> Iterator[Ints]:
    """The places of each hash, in order."""
    order = np.argsort(codes, kind="stable")
    borders = np.flatnonzero(np.diff(codes[order])) + 1
    yield from np.split(order, borders) if len(order) else []


def _led(run: Ints, signatures: Pixels) -> tuple[list[int], Ints, Ints]:
    """Leaders, and pairs of who is led and by whom. Who is like none of the first leaders stays alone."""
    leaders: list[int] = []
    led, by = [], []
    rest = run
    while len(rest) and len(leaders) < _MOST_LEADERS:
        leader, rest = int(rest[0]), rest[1:]
        leaders.append(leader)
        near = _confirmed(signatures, np.full(len(rest), leader), rest)
        led.append(rest[near])
        by.append(np.full(int(near.sum()), leader))
        rest = rest[~near]
    return leaders, np.concatenate(led), np.concatenate(by)


def _confirmed(signatures: Pixels, one: Ints, other: Ints) -> np.ndarray[Any, np.dtype[np.bool_]]:
    near = np.zeros(len(one), dtype=bool)
    for start in range(0, len(one), _CONFIRMED):
        part = slice(start, start + _CONFIRMED)
        near[part] = distance(signatures[one[part]], signatures[other[part]]) <= MOST_DISTANCE
    return near


def _close(codes: Codes) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of places whose hashes are within `MOST_BITS`; a pair may come more than once."""
    if len(codes) <= _FEW:  # comparing all with all is quicker than the hundreds of look-ups below
        one, other = np.triu_indices(len(codes), 1)
        close = np.bitwise_count(codes[one] ^ codes[other]) <= MOST_BITS
        yield one[close], other[close]
        return
    # Bits to flip in a chunk: with r bits over c chunks, one chunk differs in r // c at most.
    flips = [
        sum(1 << bit for bit in bits)
        for count in range(MOST_BITS // _CHUNKS + 1)
        for bits in combinations(range(_CHUNK_BITS), count)
    ]
    for chunk in range(_CHUNKS):
        keys = ((codes >> np.uint64(chunk * _CHUNK_BITS)) & np.uint64((1 << _CHUNK_BITS) - 1)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        sorted_codes = codes[order]
        ends = np.cumsum(np.bincount(keys, minlength=1 << _CHUNK_BITS))
        starts = np.concatenate(([0], ends[:-1]))
        for flip in flips:
            # Each two buckets are looked at from the lower one, and a bucket by itself from each to those behind it.
            lower = np.flatnonzero(keys < (keys ^ flip)) if flip else np.arange(len(keys))
            first = starts[keys[lower] ^ flip] if flip else lower + 1
            lengths = ends[keys[lower] ^ flip] - first
            for one, other in _expanded(lower, first, lengths):
                close = np.bitwise_count(sorted_codes[one] ^ sorted_codes[other]) <= MOST_BITS
                if close.any():
                    yield order[one[close]], order[other[close]]


def _expanded(ones: Ints, first: Ints, lengths: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Each of `ones` with the `lengths` places from `first` on, about `_CANDIDATES` pairs at a time."""
    some = np.flatnonzero(lengths)
    ones, first, lengths = ones[some], first[some], lengths[some]
    totals = np.cumsum(lengths)
    start = 0
    while start < len(ones):
        done = totals[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(totals, done + _CANDIDATES)))
        part = lengths[start:end]
        within = np.arange(part.sum()) - np.repeat(totals[start:end] - part - done, part)
        yield np.repeat(ones[start:end], part), np.repeat(first[start:end], part) + within
        start = end
