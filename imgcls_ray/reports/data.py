"""The data report from the manifest's rows alone: counts, sizes, copies, leaks, odd ones."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from heapq import nsmallest

from imgcls_ray.data.grouping import NEAR
from imgcls_ray.data.hygiene import near_conflicts
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow, cause, count
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.sources import SPLITS
from imgcls_ray.reports.advice import advise
from imgcls_ray.reports.report import (
    COPY,
    NEAR_COPY,
    SAME_GROUP,
    TIES,
    TWO_LABELS,
    Absent,
    Cause,
    ClassCount,
    DataReport,
    Gray,
    Groups,
    Imbalance,
    Leaks,
    Named,
    Picture,
    Target,
    Together,
    picture,
)
from imgcls_ray.reports.sizes import flat_ones, format_of, odd_ones, sizes_of

__all__ = ["NOT_LOOKED", "DataReport", "data_report"]

LISTED = 200
"""Groups that are listed; all are counted."""
EXAMPLES = 8
"""Pictures listed of a group or a cause; all are counted."""

CLASS_EXAMPLES = 8
CLASSES_WITH_EXAMPLES = 30

NOT_LOOKED = Gray()


def data_report(rows: Sequence[ManifestRow], labels: Labels, pixels: PixelOps, gray: Gray = NOT_LOOKED) -> DataReport:
    """Everything the report says.

    Args:
        rows: the whole manifest, in any order.
        labels: the classes.
        pixels: what preprocess makes of each picture.
        gray: what `looks` found; by default that nothing was looked at.
    """
    rows = sorted(rows, key=lambda row: row.path)
    used = [row for row in rows if row.status == "used"]
    classes = _classes(rows, labels)
    copies = _copies(rows)
    splits = {split: sum(getattr(entry, split) for entry in classes) for split in SPLITS}
    report = DataReport(
        counts=count(rows),
        splits=splits,
        classes=classes,
        imbalance=_imbalance(classes),
        target=Target(pixels.height, pixels.width, pixels.colorspace, pixels.resize),
        sizes=sizes_of(used, pixels),
        formats=_most(Counter(format_of(row) for row in used)),
        causes=_causes(rows),
        duplicates=_listed(copies),
        near=_listed(_near_groups(rows)),
        conflicts=_listed(_conflicts(rows)),
        near_other_label=_listed(_near_conflicts(rows)),
        leaks=_leaks(rows, copies, splits["train"] / max(len(used), 1), splits["val"] + splits["test"]),
        absent=tuple(
            Absent(entry.label, split)
            for entry in classes
            for split in SPLITS
            if splits[split] and not getattr(entry, split)
        ),
        gray=gray,
        flat=int(flat_ones(used).sum()),
        odd=odd_ones(used),
    )
    return replace(report, advice=advise(report))


def _classes(rows: Sequence[ManifestRow], labels: Labels) -> tuple[ClassCount, ...]:
    by: Counter[tuple[str, str]] = Counter(
        (row.label, (row.split or "train") if row.status == "used" else row.status) for row in rows
    )
    examples = _examples(rows) if len(labels) <= CLASSES_WITH_EXAMPLES else {}
    return tuple(
        ClassCount(
            label=name,
            train=by[name, "train"],
            val=by[name, "val"],
            test=by[name, "test"],
            rejected=by[name, "rejected"],
            duplicates=by[name, "duplicate"],
            examples=examples.get(name, ()),
        )
        for name in labels.names
    )


def _examples(rows: Iterable[ManifestRow]) -> dict[str, tuple[Picture, ...]]:
    """A few used pictures of each class: the least content hashes, which is a draw that is always the same."""
    by: defaultdict[str, list[ManifestRow]] = defaultdict(list)
    for row in rows:
        if row.status == "used":
            by[row.label].append(row)
    return {
        label: tuple(map(picture, nsmallest(CLASS_EXAMPLES, group, key=lambda row: row.sha256 or "")))
        for label, group in by.items()
    }


def _imbalance(classes: Sequence[ClassCount]) -> Imbalance:
    largest = max(classes, key=lambda entry: entry.used)
    smallest = min(classes, key=lambda entry: entry.used)
    total = sum(entry.used for entry in classes)
    shares = [entry.used / total for entry in classes if entry.used]
    effective = math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0
    return Imbalance(largest.label, largest.used, smallest.label, smallest.used, effective)


def _most(counter: Counter[str]) -> tuple[Named, ...]:
    return tuple(Named(name, number) for name, number in sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _causes(rows: Iterable[ManifestRow]) -> tuple[Cause, ...]:
    by: defaultdict[str, list[ManifestRow]] = defaultdict(list)
    for row in rows:
        if row.status == "rejected":
            by[cause(row.reason or "no reason given")].append(row)
    found = [Cause(name, len(group), tuple(map(picture, group[:EXAMPLES]))) for name, group in by.items()]
    return tuple(sorted(found, key=lambda entry: (-entry.count, entry.reason)))


def _grouped(rows: Iterable[ManifestRow], key: Callable[[ManifestRow], str | None]) -> list[list[ManifestRow]]:
    """Groups of two or more, in order of their first path; a row without a key is in none."""
    by: defaultdict[str, list[ManifestRow]] = defaultdict(list)
    for row in rows:
        name = key(row)
        if name is not None:
            by[name].append(row)
    return [group for group in by.values() if len(group) > 1]


def _copies(rows: Sequence[ManifestRow]) -> list[list[ManifestRow]]:
    """Exact copies: the kept one first."""
    duplicates = [row for row in rows if row.status == "duplicate"]
    kept = {(row.reason or "").removeprefix(COPY) for row in duplicates}

    def original(row: ManifestRow) -> str | None:
        if row.status == "duplicate":
            return (row.reason or "").removeprefix(COPY)
        return row.path if row.path in kept else None

    return [sorted(group, key=lambda row: row.status == "duplicate") for group in _grouped(rows, original)]


def _conflicts(rows: Iterable[ManifestRow]) -> list[list[ManifestRow]]:
    return _grouped(
        (row for row in rows if row.status == "rejected" and cause(row.reason or "") == TWO_LABELS),
        lambda row: row.sha256,
    )


def _is_near(row: ManifestRow) -> bool:
    return row.group is not None and row.group.startswith(NEAR)


def _near_groups(rows: Iterable[ManifestRow]) -> list[list[ManifestRow]]:
    """Near copies, the left out ones too, but not exact copies, which have a list of their own."""
    return _grouped((row for row in rows if row.status != "duplicate" and _is_near(row)), lambda row: row.group)


def _near_conflicts(rows: Sequence[ManifestRow]) -> list[list[ManifestRow]]:
    """Of each group, the pictures that are near to one with another label."""
    found = {row.path: row for pair in near_conflicts(rows) for row in pair}.values()
    return _grouped(sorted(found, key=lambda row: row.path), lambda row: row.group)


def _listed(groups: Sequence[Sequence[ManifestRow]]) -> Groups:
    listed = tuple(Together(tuple(map(picture, group[:EXAMPLES])), len(group)) for group in groups[:LISTED])
    return Groups(len(groups), sum(map(len, groups)), listed)


def _leaks(rows: Sequence[ManifestRow], copies: list[list[ManifestRow]], train: float, held_out: int) -> Leaks:
    reasons = Counter(cause(row.reason) for row in rows if row.status == "rejected" and row.reason)
    examples = [row for row in rows if row.reason and cause(row.reason) in (NEAR_COPY, SAME_GROUP, TIES)]
    source = {row.group for row in rows if row.status == "used" and row.group and not _is_near(row)}
    return Leaks(
        expected=_expected_leaks(rows, copies, train),
        held_out=held_out,
        near_left_out=reasons[NEAR_COPY],
        ties_left_out=reasons[TIES],
        group_left_out=reasons[SAME_GROUP],
        source_groups=len(source),
        examples=tuple(map(picture, examples[:EXAMPLES])),
    )


def _expected_leaks(rows: Sequence[ManifestRow], copies: list[list[ManifestRow]], train: float) -> float:
    """Held-out pictures with a copy or near copy in training, if each picture were drawn on its own.

    Of `k` alike each is held out with probability 1 - train, and has one of the other k - 1 in training with
    probability 1 - (1 - train) ** (k - 1).
    """
    extra = {group[0].path: len(group) - 1 for group in copies}
    alike: Counter[str] = Counter()
    for row in rows:
        if row.status == "used":
            alike[row.group if row.group and _is_near(row) else f"/{row.path}"] += 1 + extra.get(row.path, 0)
    out = 1 - train
    return sum(k * out * (1 - out ** (k - 1)) for k in alike.values() if k > 1)
