"""The driver's decisions between the two passes: duplicates, splits, which picture goes into which shard."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.sources import SPLITS, Source, Split
from imgcls_ray.data.splits import rank, split_class
from imgcls_ray.errors import DataError

_MOST_ROWS = 512
_WANTED_SHARDS = 4
_FEWEST_ROWS = 64

# A picture that stands in several splits stays where it is measured, so that no model has trained on it.
_KEPT_FIRST: dict[Split | None, int] = {"test": 0, "val": 1, "train": 2, None: 3}


@dataclass(frozen=True)
class ShardPlan:
    """A shard to be written: `rows` are positions in the manifest, in the order of the shard."""

    stem: str
    split: Split
    rows: tuple[int, ...]


def pixel_ops(settings: PreprocessSettings) -> PixelOps:
    """The pixel operations that the settings ask for."""
    size = settings.image_size
    return PixelOps(size.height, size.width, settings.colorspace, max_pixels=settings.max_pixels)


def without_repeats(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Mark repeated pictures: equal bytes under one label are kept once, under two labels not at all."""
    same: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.status == "used" and row.sha256:
            same[row.sha256].append(number)
    result = list(rows)
    for numbers in same.values():
        if len({rows[n].label for n in numbers}) > 1:
            for n in numbers:
                result[n] = replace(rows[n], status="rejected", reason="same picture under two labels")
            continue
        first, *others = sorted(numbers, key=lambda n: (_KEPT_FIRST[rows[n].split], rows[n].path))
        for n in others:
            result[n] = replace(rows[n], status="duplicate", reason=f"same picture as {rows[first].path}")
    return result


def with_splits(rows: Sequence[ManifestRow], source: Source, settings: PreprocessSettings) -> list[ManifestRow]:
    """Give every used picture its split, keeping the splits that folders decide."""
    brought = {item.split for item in source.items}
    pools: dict[str, dict[str, int]] = defaultdict(dict)
    for number, row in enumerate(rows):
        if row.status == "used" and row.sha256 and row.split in (None, "train"):
            pools[row.label][row.sha256] = number
    result = list(rows)
    for pool in pools.values():
        splits = split_class(
            list(pool),
            settings.seed,
            None if "test" in brought else settings.test_fraction,
            None if "val" in brought else settings.val_fraction,
        )
        for sha256, split in splits.items():
            result[pool[sha256]] = replace(rows[pool[sha256]], split=split)
    return result


def class_counts(rows: Sequence[ManifestRow], labels: Labels) -> dict[Split, list[int]]:
    """Used pictures of each class by split."""
    counts: dict[Split, list[int]] = {split: [0] * len(labels) for split in SPLITS}
    for row in rows:
        if row.status == "used" and row.split:
            counts[row.split][labels.index(row.label)] += 1
    return counts


def check_counts(rows: Sequence[ManifestRow], labels: Labels, root: str) -> None:
    """Refuse what no model can be trained and measured on.

    Raises:
        DataError: no picture is usable, a class has none to train on, or validation or test got none.
    """
    counts = class_counts(rows, labels)
    reasons = [row.reason for row in rows if row.status == "rejected" and row.reason]
    if not any(map(any, counts.values())):
        common = max(set(reasons), key=reasons.count, default="none is left")
        raise DataError(f"No file in {root} is a usable picture; the most common reason is: {common}.")
    for name, number in zip(labels.names, counts["train"], strict=True):
        if not number:
            of_class = [row for row in rows if row.label == name]
            why = next((row.reason for row in of_class if row.reason), "all went to other splits")
            raise DataError(
                f"Each class needs a usable picture to train on; none of the {len(of_class)} files of '{name}' in "
                f"{root} is left (for example: {why}): add good ones or remove the class."
            )
    for split, noun in (("val", "validation"), ("test", "test")):
        if not any(counts[split]):  # type: ignore[index]
            raise DataError(
                f"Training, validation and test need a picture each; none is left for the {noun} in {root}: "
                "give each class at least 3 pictures."
            )


def plan_shards(rows: Sequence[ManifestRow], labels: Labels, settings: PreprocessSettings) -> list[ShardPlan]:
    """Deal the used pictures into shards of nearly equal size, largest shards first.

    Every class with as many pictures as there are shards stands in each of them, in a seeded random order.
    """
    height, width, channels = pixel_ops(settings).shape
    most = max(1, min(_MOST_ROWS, int(settings.shard_mb * 1e6 / (height * width * channels))))
    plans = []
    for split in SPLITS:
        numbers = [n for n, row in enumerate(rows) if row.status == "used" and row.split == split]
        if not numbers:
            continue
        # Enough shards to keep some CPUs busy, unless they would become so small that their overhead shows.
        shards = max(-(-len(numbers) // most), min(_WANTED_SHARDS, len(numbers) // _FEWEST_ROWS), 1)
        order = {n: rank(settings.seed, "shard", f"{rows[n].sha256}") for n in numbers}
        # By class, then dealt like cards: neighbours, so members of one class, go to different shards.
        numbers.sort(key=lambda n: (labels.index(rows[n].label), order[n]))
        for shard in range(shards):
            dealt = sorted(numbers[shard::shards], key=order.__getitem__)
            plans.append(ShardPlan(f"{split}-{shard:05d}", split, tuple(dealt)))
    return sorted(plans, key=lambda plan: -len(plan.rows))
