"""The driver's decisions before shards are written: what has to be enough, and which picture goes into which shard."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow, cause
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.sources import SPLITS, Split
from imgcls_ray.data.splits import rank
from imgcls_ray.errors import DataError

_MOST_ROWS = 512
_WANTED_SHARDS = 4
_FEWEST_ROWS = 64


@dataclass(frozen=True)
class ShardPlan:
    """A shard to be written: `rows` are positions in the manifest, in the order of the shard."""

    stem: str
    split: Split
    rows: tuple[int, ...]


def pixel_ops(settings: PreprocessSettings) -> PixelOps:
    """The pixel operations that the settings ask for."""
    size = settings.image_size
    return PixelOps(size.height, size.width, settings.colorspace, settings.resize, settings.max_pixels)


def class_counts(rows: Sequence[ManifestRow], labels: Labels) -> dict[Split, list[int]]:
    """Used pictures of each class by split."""
    counts: dict[Split, list[int]] = {split: [0] * len(labels) for split in SPLITS}
    for row in rows:
        if row.status == "used" and row.split:
            counts[row.split][labels.index(row.label)] += 1
    return counts


def causes(rows: Sequence[ManifestRow]) -> dict[str, int]:
    """Rejected files by cause, the most common first."""
    return dict(Counter(cause(row.reason) for row in rows if row.status == "rejected" and row.reason).most_common())


def check_bad(bad: Mapping[str, int], total: int, root: str, settings: PreprocessSettings) -> None:
    """Refuse to go on with too many files that are no usable pictures; `bad` counts them by cause.

    Raises:
        DataError: more of them than `max_bad_fraction` of `total`.
    """
    number = sum(bad.values())
    if number > settings.max_bad_fraction * total:
        told = ", ".join(f"{count} {name}" for name, count in sorted(bad.items(), key=lambda pair: -pair[1]))
        raise DataError(
            f"At most {settings.max_bad_fraction:.0%} of the files may be unusable, but {number} of {total} in {root} "
            f"are ({told}): mend the data, or raise the limit, max_bad_fraction (--max-bad-fraction)."
        )


def check_counts(rows: Sequence[ManifestRow], labels: Labels, root: str) -> None:
    """Refuse what no model can be trained and measured on.

    Raises:
        DataError: no picture is usable, a class has none to train on, or validation or test got none.
    """
    counts = class_counts(rows, labels)
    if not any(map(any, counts.values())):
        common = next(iter(causes(rows)), "none is left")
        raise DataError(f"No file in {root} is a usable picture; the most common reason is: {common}.")
    for name, number in zip(labels.names, counts["train"], strict=True):
        if not number:
            of_class = [row for row in rows if row.label == name]
            why = next((row.reason for row in of_class if row.reason), "all went to other splits")
            example = f" (for example: {why})" if of_class else ""
            raise DataError(
                f"Each class needs a usable picture to train on; none of the {len(of_class)} files of '{name}' in "
                f"{root} is left{example}: add good ones or remove the class."
            )
    for split, noun in (("val", "validation"), ("test", "test")):
        if not any(counts[split]):  # type: ignore[index]
            raise DataError(
                f"Training, validation and test need a picture each; none is left for the {noun} in {root}: "
                "give each class at least 3 pictures."
            )


def plan_shards(
    rows: Sequence[ManifestRow],
    wanted: Sequence[int],
    labels: Labels,
    settings: PreprocessSettings,
    taken: Mapping[Split, int],
) -> list[ShardPlan]:
    """Deal the pictures at positions `wanted` into shards of nearly equal size, largest shards first.

    Every class with as many pictures as there are shards stands in each of them, in a seeded random order. The numbers
    in the names begin after those that are `taken`.
    """
    height, width, channels = pixel_ops(settings).shape
    most = max(1, min(_MOST_ROWS, int(settings.shard_mb * 1e6 / (height * width * channels))))
    plans = []
    for split in SPLITS:
        numbers = [n for n in wanted if rows[n].split == split]
        if not numbers:
            continue
        # Enough shards to keep some CPUs busy, unless they would become so small that their overhead shows.
        shards = max(-(-len(numbers) // most), min(_WANTED_SHARDS, len(numbers) // _FEWEST_ROWS), 1)
        order = {n: rank(settings.seed, "shard", f"{rows[n].sha256}") for n in numbers}
        # By class, then dealt like cards: neighbours, so members of one class, go to different shards.
        numbers.sort(key=lambda n: (labels.index(rows[n].label), order[n]))
        for shard in range(shards):
            dealt = sorted(numbers[shard::shards], key=order.__getitem__)
            plans.append(ShardPlan(f"{split}-{taken[split] + shard:05d}", split, tuple(dealt)))
    return sorted(plans, key=lambda plan: -len(plan.rows))
