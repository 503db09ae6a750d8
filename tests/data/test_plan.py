from dataclasses import replace

import pytest

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data import plan
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.sources import Split
from imgcls_ray.errors import DataError

LABELS = Labels(("a", "b", "c"))
NONE_TAKEN: dict[Split, int] = {"train": 0, "val": 0, "test": 0}


def row(path: str, content: str, split: Split | None = None) -> ManifestRow:
    return ManifestRow(path, path[0], split, content, 10, 10, 1, "used")


def rows(**classes: int) -> list[ManifestRow]:
    return [row(f"{name}/{n}", f"{name}{n}", "train") for name, count in classes.items() for n in range(count)]


def planned(found: list[ManifestRow], settings: PreprocessSettings) -> list[plan.ShardPlan]:
    return plan.plan_shards(found, range(len(found)), LABELS, settings, NONE_TAKEN)


def test_every_shard_holds_every_class_and_sizes_differ_by_one() -> None:
    used = rows(a=900, b=30, c=9)
    shards = planned(used, PreprocessSettings(image_size=96, shard_mb=100))
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
        return [[found[n].sha256 for n in shard.rows] for shard in planned(found, settings)]

    assert contents(used) == contents(used[::-1])
    assert contents(used) != [
        [used[n].sha256 for n in shard.rows] for shard in planned(used, settings.model_copy(update={"seed": 1}))
    ]


def test_shards_have_at_most_512_rows_and_the_megabytes_asked_for() -> None:
    used = rows(a=3000)
    many = planned(used, PreprocessSettings(image_size=32))
    assert max(len(shard.rows) for shard in many) == 500
    small = planned(used, PreprocessSettings(image_size=100, shard_mb=3))
    assert max(len(shard.rows) for shard in small) == 100
    tiny = planned(used[:5], PreprocessSettings(image_size=100, shard_mb=0.001))
    assert [len(shard.rows) for shard in tiny] == [1] * 5


def test_new_pictures_go_into_shards_with_new_numbers() -> None:
    used = rows(a=30, b=30)
    (shard,) = plan.plan_shards(used, [3, 40], LABELS, PreprocessSettings(), {"train": 7, "val": 1, "test": 0})
    assert (shard.stem, sorted(shard.rows)) == ("train-00007", [3, 40])


def test_too_many_bad_files_are_told_with_their_counts() -> None:
    settings = PreprocessSettings(max_bad_fraction=0.1)
    plan.check_bad({"not a picture": 6, "empty file": 4}, 100, "/data", settings)
    with pytest.raises(DataError, match=r"At most 10% .* 11 of 100 in /data are \(7 not a picture, 4 empty file\)"):
        plan.check_bad({"empty file": 4, "not a picture": 7}, 100, "/data", settings)


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
