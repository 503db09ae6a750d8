"""Pictures that belong together: the source says so, or they are near copies. A group stands in one split."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.neighbours import Clusters
from imgcls_ray.data.sources import Split
from imgcls_ray.data.splits import Group, Shares, represented, unit

NEAR = "near-"
"""What the name of a group begins with that was found by likeness."""

KEPT_FIRST: dict[Split | None, int] = {"test": 0, "val": 1, "train": 2, None: 3}
"""A picture that would stand in several splits stays where it is measured, so that no model has trained on it."""

_NAMED = 3


@dataclass(frozen=True)
class Refusal:
    """Why a picture can't be used."""

    reason: str
    neighbour: int
    """The picture that the reason names first."""


@dataclass(frozen=True)
class Picture:
    """What counts about a picture when groups are made."""

    number: int
    """Of its row."""
    sha256: str
    label: str
    group: str | None
    allowed: frozenset[Split]
    """One, where the source or an earlier build decided."""
    old: bool

    @classmethod
    def of(cls, number: int, row: ManifestRow, shares: Shares, earlier: Mapping[str, Split]) -> "Picture":
        sha256 = row.sha256 or ""
        given = row.split if row.split in ("val", "test") else None
        split = earlier.get(sha256, given)
        # Where a folder says training, validation may be drawn from it; nothing is added to a test that was given.
        allowed = frozenset[Split]((split,) if split else ("train", *shares.drawn))
        return cls(number, sha256, row.label, row.group or None, allowed, sha256 in earlier)

    @property
    def fixed(self) -> Split | None:
        """The only split that it may be in, if there is only one."""
        return next(iter(self.allowed)) if len(self.allowed) == 1 else None

    @property
    def turn(self) -> int:
        """Who comes earlier is not left out for who comes later."""
        return -1 if self.old else KEPT_FIRST[self.fixed]


class Grouping:
    """Pictures are taken in turn; each joins the clusters of its neighbours, unless that would break a split.

    Only direct neighbours of a picture in another split are refused; who is near to these alone stays.
    """

    def __init__(self, pictures: Sequence[Picture], pairs: Sequence[tuple[int, int]]) -> None:
        """Take them.

        Args:
            pictures: those of lower `turn` first.
            pairs: places in `pictures` that are near copies.
        """
        self._pictures = pictures
        self._near: dict[int, list[int]] = defaultdict(list)
        for one, other in pairs:
            self._near[one].append(other)
            self._near[other].append(one)
        self._refused: set[int] = set()
        self._clusters = Clusters(len(pictures))
        self._fixed: dict[int, Split] = {}  # by the root of the cluster
        self._of_group: dict[str, list[int]] = defaultdict(list)  # the source's groups: a picture for each cluster
        for place in range(len(pictures)):
            self._take(place)
        self._members: dict[int, list[int]] = defaultdict(list)
        for place in range(len(pictures)):
            if place not in self._refused:
                self._members[self._clusters.find(place)].append(place)

    def _take(self, place: int) -> None:
        picture = self._pictures[place]
        before = [n for n in self._near.get(place, ()) if n < place and n not in self._refused]
        alike = self._of_group[picture.group] if picture.group else []
        roots = {self._clusters.find(n) for n in (*before, *alike)}
        splits = {self._fixed[root] for root in roots if root in self._fixed}
        if picture.old:  # it stays, even beside one in another split, which only a change of the rules can cause
            roots = {root for root in roots if self._fixed.get(root) in picture.allowed}
        elif len(splits) > 1 or not splits <= picture.allowed:
            self._refused.add(place)
            return
        split = picture.fixed or next(iter(splits), None)
        for root in roots:
            self._clusters.unite(place, root)
        if split:
            self._fixed[self._clusters.find(place)] = split
        if picture.group and self._clusters.find(place) not in map(self._clusters.find, alike):
            alike.append(place)

    def split(self, shares: Shares, seed: int) -> list[Split | None]:
        """The split of each picture; None for the refused."""
        groups = []
        for root, places in self._members.items():
            place = unit(seed, self._key(places))
            labels = frozenset(self._pictures[n].label for n in places)
            fixed = self._fixed.get(root)
            groups.append(Group(place, labels, fixed or shares.split(place), free=fixed is None))
        splits: list[Split | None] = [None] * len(self._pictures)
        for places, split in zip(self._members.values(), represented(groups, shares.drawn), strict=True):
            for n in places:
                splits[n] = split
        return splits

    def _key(self, places: Sequence[int]) -> str:
        """What a group is drawn by: the source's name where it has one, else its smallest hash."""
        named = [group for n in places if (group := self._pictures[n].group)]
        return f"group:{min(named)}" if named else min(self._pictures[n].sha256 for n in places)

    def names(self, refusals: Mapping[int, Refusal]) -> list[str | None]:
        """The group of each picture: the source's name, or one that is found for two pictures or more, or None.

        The refused are counted to the group of the neighbour that their reason names.
        """
        beside = {self._clusters.find(refusal.neighbour) for refusal in refusals.values()}
        names: dict[int, str] = {}
        for root, places in self._members.items():
            named = sorted({group for n in places if (group := self._pictures[n].group)})
            if named:
                more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
                names[root] = " + ".join(named[:_NAMED] + more)
            elif len(places) > 1 or root in beside:
                names[root] = NEAR + min(self._pictures[n].sha256 for n in places)[:12]
        found: list[str | None] = []
        for place, picture in enumerate(self._pictures):
            refusal = refusals.get(place)
            root = self._clusters.find(refusal.neighbour if refusal else place)
            found.append((picture.group if refusal else None) or names.get(root))
        return found

    def reasons(self, splits: Sequence[Split | None], paths: Sequence[str]) -> dict[int, Refusal]:
        """Why each of the refused was."""
        of_group: dict[str, dict[Split, int]] = defaultdict(dict)
        for place, picture in enumerate(self._pictures):
            if picture.group:
                _note(of_group[picture.group], place, splits, paths)
        reasons = {}
        for place in sorted(self._refused):
            picture = self._pictures[place]
            first = dict(of_group[picture.group]) if picture.group else {}
            near = self._near.get(place, ())
            for neighbour in near:
                _note(first, neighbour, splits, paths)
            reasons[place] = _refusal(first, picture.allowed, paths, near)
        return reasons


def _note(first: dict[Split, int], place: int, splits: Sequence[Split | None], paths: Sequence[str]) -> None:
    """Keep in `first` the picture of the smallest path for each split."""
    split = splits[place]
    if split and (split not in first or paths[place] < paths[first[split]]):
        first[split] = place


def _refusal(
    first: Mapping[Split, int], allowed: Collection[Split], paths: Sequence[str], near: Collection[int]
) -> Refusal:
    barred = sorted(first.keys() - set(allowed), key=KEPT_FIRST.__getitem__)
    if barred:
        place = first[barred[0]]
        what = "near copy" if place in near else "same group"
        return Refusal(f"{what} in another split ({paths[place]}, {barred[0]})", place)
    one, other = sorted(first, key=KEPT_FIRST.__getitem__, reverse=True)[:2]
    told = f"{paths[first[one]]} in {one}, {paths[first[other]]} in {other}"
    return Refusal(f"ties two splits together ({told})", first[one])
