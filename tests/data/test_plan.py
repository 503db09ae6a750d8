from dataclasses import replace

import pytest

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data import plan
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.sources import Split
from imgcls_ray.errors import DataError

LABELS = Labels(("a", "b", "c"))


def row(path: str, content: str, split: Split | None = None) -> ManifestRow:
    return ManifestRow(path, path[0], split, content, 10, 10, 1, "used")


def rows(**classes: int) -> list[ManifestRow]:
    return [row(f"{name}/{n}", f"{name}{n}", "train") for name, count in classes.items() for n in range(count)]


def test_equal_pictures_of_one_class_are_kept_once() -> None:
    result = plan.without_repeats([row("a/2", "x"), row("a/1", "x"), row("a/3", "y")])
    assert [r.status for r in result] == ["duplicate", "used", "used"]
    assert result[0].reason == "same picture as a/1"


def test_equal_pictures_of_two_classes_are_all_rejected() -> None:
    result = plan.without_repeats([row("a/1", "x"), row("a/2", "x"), row("b/1", "x"), row("b/2", "y")])
    assert [r.status for r in result] == ["rejected"] * 3 + ["used"]
    assert {r.reason for r in result[:3]} == {"same picture under two labels"}


def test_a_picture_of_test_and_training_stays_in_the_test() -> None:
    result = plan.without_repeats([row("a/1", "x", "train"), row("a/2", "x", "test"), row("a/3", "x", "val")])
    assert [r.status for r in result] == ["duplicate", "used", "duplicate"]


def test_rejected_pictures_are_no_duplicates() -> None:
    broken = replace(row("a/1", "x"), status="rejected", reason="truncated or damaged")
    assert plan.without_repeats([broken, row("b/1", "x")])[1].status == "used"


def test_every_shard_holds_every_class_and_sizes_differ_by_one() -> None:
    used = rows(a=900, b=30, c=9)
    shards = plan.plan_shards(used, LABELS, PreprocessSettings(image_size=96, shard_mb=100))
    assert len(shards) == 4
    assert sorted(n for shard in shards for n in shard.rows) == list(range(939))
    assert max(len(s.rows) for s in shards) - min(len(s.rows) for s in shards) <= 1
    for shard in shards:
        assert {used[n].label for n in shard.rows} == {"a", "b", "c"}
        labels = [used[n].label for n in shard.rows]
        assert labels != sorted(labels), "the order inside a shard must not go class by class"


def test_shards_follow_content_not_the_order_of_the_rows() -> None:
    used = rows(a=200, b=100, c=50)
    settings = PreprocessSettings(image_size=96)

    def contents(found: list[ManifestRow]) -> list[list[str | None]]:
        return [[found[n].sha256 for n in shard.rows] for shard in plan.plan_shards(found, LABELS, settings)]

    assert contents(used) == contents(used[::-1])
    assert contents(used) != [
        [used[n].sha256 for n in shard.rows]
        for shard in plan.plan_shards(used, LABELS, settings.model_copy(update={"seed": 1}))
    ]


def test_shards_have_at_most_512_rows_and_the_megabytes_asked_for() -> None:
    used = rows(a=3000)
    many = plan.plan_shards(used, LABELS, PreprocessSettings(image_size=32))
    assert max(len(shard.rows) for shard in many) == 500
    small = plan.plan_shards(used, LABELS, PreprocessSettings(image_size=100, shard_mb=3))
    assert max(len(shard.rows) for shard in small) == 100
    tiny = plan.plan_shards(used[:5], LABELS, PreprocessSettings(image_size=100, shard_mb=0.001))
    assert [len(shard.rows) for shard in tiny] == [1] * 5


def test_classes_without_training_pictures_are_named() -> None:
    used = rows(a=3, b=3)
    broken = [replace(r, status="rejected", reason="empty file", label="c") for r in rows(c=4)]
    with pytest.raises(DataError, match=r"none of the 4 files of 'c' in /data is left \(for example: empty file\)"):
        plan.check_counts(used + broken, LABELS, "/data")


def test_data_without_one_usable_picture_tells_the_most_common_reason() -> None:
    broken = [replace(r, status="rejected", reason="not a picture") for r in rows(a=3, b=3, c=3)]
    with pytest.raises(DataError, match="No file in /data is a usable picture; the most common reason is: not a pict"):
        plan.check_counts(broken, LABELS, "/data")


def test_an_empty_validation_or_test_is_refused() -> None:
    with pytest.raises(DataError, match="none is left for the validation"):
        plan.check_counts(rows(a=2, b=2, c=2), LABELS, "/data")
