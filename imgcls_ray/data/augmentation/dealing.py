"""Which original gets how many copies, and what the copies are called."""

import hashlib
import heapq
import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.splits import rank

SUFFIXES = {"jpeg": ".jpg", "png": ".png"}
_LONGEST_STEM = 239
"""Bytes: with `.aug-9999999.jpg` it is 255, the most of a name."""
_BEGINNING = 200
"""Bytes that a shortened name keeps."""
_COPY = re.compile(r"(.+)\.aug-([1-9][0-9]{0,6})\.(?:jpg|png)")


@dataclass(frozen=True)
class Original:
    """A training picture of the layout."""

    place: str
    """`train/CLASS/file` in the layout."""
    label: str
    sha256: str

    @classmethod
    def of(cls, rows: Sequence[ManifestRow]) -> list["Original"]:
        """The training pictures among the layout's rows, sorted by place."""
        found = [cls(row.shard, row.label, row.sha256 or "") for row in rows if row.shard and row.split == "train"]
        return sorted(found, key=lambda original: original.place)


def copy_place(original: str, number: int, file_format: str) -> str:
    """The place of a copy, which tells its original and number: `train/rose/a.jpg` -> `train/rose/a.jpg.aug-1.jpg`."""
    return f"{stem_of(original)}.aug-{number}{SUFFIXES[file_format]}"


def stem_of(original: str) -> str:
    """What the places of its copies begin with: the original's own, shortened where their names would be too long."""
    folder, _, name = original.rpartition("/")
    if len(name.encode()) <= _LONGEST_STEM:
        return original
    beginning = name.encode()[:_BEGINNING].decode(errors="ignore")
    return f"{folder}/{beginning}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def original_of(place: str, stems: Mapping[str, str] | None = None) -> tuple[str, int] | None:
    """The original and the number that the name of a copy tells; None for other names.

    `stems` are the places of the originals by their `stem_of`; an original that is not among them is what its copies'
    names begin with.
    """
    found = _COPY.fullmatch(place)
    return ((stems or {}).get(found[1], found[1]), int(found[2])) if found else None


def deal(
    originals: Sequence[Original], there: Mapping[str, set[int]], per_class: int, seed: int
) -> dict[str, list[int]]:
    """The numbers of the copies that are to be made of each original, by its place.

    Each class is brought to `per_class` pictures, as evenly as it goes: who has the fewest copies is next, in a seeded
    order. So a killed run ends as it would have. An original that is called as a copy of another (a copy in data that
    was augmented before) is no copy, but no copy gets its name.

    Args:
        originals: all of them.
        there: place of an original -> numbers of its copies that are there.
        per_class: pictures wanted, originals counted.
        seed: decides who is first.
    """
    taken: dict[str, set[int]] = defaultdict(set)
    stems = {stem_of(original.place): original.place for original in originals}
    for told in filter(None, (original_of(original.place, stems) for original in originals)):
        taken[told[0]].add(told[1])
    by_class: dict[str, list[Original]] = defaultdict(list)
    for original in originals:
        by_class[original.label].append(original)
    wanted: dict[str, list[int]] = {}
    for members in by_class.values():
        have = {one.place: set(there.get(one.place, ())) for one in members}
        missing = per_class - len(members) - sum(map(len, have.values()))
        queue = [(len(have[one.place]), rank(seed, "augment", one.sha256), one.place) for one in members]
        heapq.heapify(queue)
        for _ in range(missing):
            copies, order, place = queue[0]
            number = next(n for n in itertools.count(1) if n not in have[place] and n not in taken[place])
            have[place].add(number)
            wanted.setdefault(place, []).append(number)
            heapq.heapreplace(queue, (copies + 1, order, place))
    return wanted
