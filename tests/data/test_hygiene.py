import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.hygiene import near_conflicts, settle
from imgcls_ray.data.manifest import ManifestRow, cause
from imgcls_ray.data.neighbours import near_pairs
from imgcls_ray.data.similarity import Look
from imgcls_ray.data.sources import Split
from tests.data.looks import Kind, by_path, dataset, row

SETTINGS = PreprocessSettings()
KINDS = [
    Kind(),
    Kind(groups=True),
    Kind(given=("train", "test")),
    Kind(given=("train", "test", "val"), groups=True),
    Kind(given=(None, "train", "test")),
    Kind(given=(None, None, "val"), groups=True),
    Kind(given=("train",)),
]
SEEDS = range(4)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k.given}-{k.groups}")


def fresh(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    return settle(rows, SETTINGS, {})


def splits_of(rows: Sequence[ManifestRow]) -> dict[str, Split]:
    """As a later build gets them."""
    return {r.sha256: r.split for r in rows if r.status == "used" and r.sha256 and r.split}


def near(rows: Sequence[ManifestRow]) -> list[tuple[ManifestRow, ManifestRow]]:
    looks = [Look(r.phash, r.signature) if r.phash and r.signature else None for r in rows]
    return [(rows[i], rows[j]) for i, j in near_pairs(looks)]


def assert_whole(rows: Sequence[ManifestRow], source: Sequence[ManifestRow]) -> None:
    """Every used picture has a split, once, and no group crosses one."""
    used = [r for r in rows if r.status == "used"]
    assert all(r.split for r in used)
    assert len({r.sha256 for r in used}) == len(used)
    assert all(r.reason for r in rows if r.status != "used")
    splits = defaultdict(set)
    for r in used:
        if r.group:
            splits["column", r.group].add(r.split)
        if source_group := by_path(source)[r.path].group:
            splits["source", source_group].add(r.split)
    assert all(len(found) == 1 for found in splits.values())
    for one, other in near(used):
        assert one.split == other.split
        assert one.group == other.group is not None


@each_kind
@pytest.mark.parametrize("seed", SEEDS)
def test_groups_never_cross_a_split(kind: Kind, seed: int) -> None:
    source = dataset(seed, 150, kind)
    result = fresh(source)
    assert [r.path for r in result] == [r.path for r in source]
    assert_whole(result, source)
    for before, after in zip(source, result, strict=True):
        if before.status == "rejected":
            assert after == before
        if before.split in ("val", "test") and after.status == "used":
            assert after.split == before.split
        if before.split == "train" and not {"val", "test"} - {r.split for r in source} and after.status == "used":
            assert after.split == "train"


@each_kind
@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_the_rows_does_not_matter(kind: Kind, seed: int) -> None:
    source = dataset(seed, 150, kind)
    shuffled = random.Random(seed).sample(source, len(source))
    assert by_path(fresh(shuffled)) == by_path(fresh(source))


@each_kind
@pytest.mark.parametrize("seed", SEEDS)
def test_settling_again_changes_nothing(kind: Kind, seed: int) -> None:
    source = dataset(seed, 150, kind)
    result = fresh(source)
    assert settle(source, SETTINGS, splits_of(result)) == result


@each_kind
@pytest.mark.parametrize("seed", SEEDS)
def test_additions_move_no_old_picture(kind: Kind, seed: int) -> None:
    source = dataset(seed, 120, kind)
    result, earlier = by_path(fresh(source)), splits_of(fresh(source))
    for step in range(3):
        # The same motifs: near copies and exact copies of the old ones come, and some that tie old ones together.
        source = source + dataset(seed, 40, kind, part=f"later{step}/", motifs=80)
        after = settle(source, SETTINGS, earlier)
        assert_whole(after, source)
        now = splits_of(after)
        two_labels = {
            r.sha256
            for r in after
            if r.status == "rejected" and cause(r.reason or "") == "same picture under two labels"
        }
        assert {k: now.get(k) for k in earlier if k not in two_labels} == {
            k: v for k, v in earlier.items() if k not in two_labels
        }
        assert settle(source, SETTINGS, now) == after
        earlier = now
    assert result


@pytest.mark.parametrize("seed", SEEDS)
def test_additions_of_other_pictures_move_none_even_from_nothing(seed: int) -> None:
    source = dataset(seed, 300, Kind(groups=True))
    added = [replace(r, group=None) for r in dataset(seed + 500, 300, Kind())]
    before, after = fresh(source), by_path(fresh([*source, *added]))
    assert all(after[r.path] == r for r in before)


@pytest.mark.parametrize("seed", SEEDS)
def test_members_of_a_named_group_can_be_added_without_moving_it(seed: int) -> None:
    source = [row(f"{n}.jpg", "ab"[n % 2], group=f"patient{n % 40}") for n in range(400)]
    added = [row(f"later/{seed}-{n}.jpg", "ab"[n % 2], group=f"patient{n % 40}") for n in range(100)]
    before, after = fresh(source), by_path(fresh(source + added))
    assert all(after[r.path] == r for r in before)


@pytest.mark.parametrize("seed", SEEDS)
def test_removals_move_no_other(seed: int) -> None:
    source = [row(f"{n}.jpg", "ab"[n % 2], motif=seed * 10_000 + n) for n in range(400)]
    left = random.Random(seed).sample(source, 250)
    before = by_path(fresh(source))
    assert all(before[r.path] == r for r in fresh(left))


def test_splits_are_about_as_large_as_asked_for_in_each_class() -> None:
    result = fresh([row(f"{n}.jpg", "ab"[n % 2]) for n in range(4000)])
    sizes = Counter((r.label, r.split) for r in result)
    for label in "ab":
        assert 330 < sizes[label, "test"] < 470
        assert 110 < sizes[label, "val"] < 210


@pytest.mark.parametrize("seed", range(20))
def test_small_classes_are_in_every_split(seed: int) -> None:
    settings = PreprocessSettings(seed=seed)
    source = [
        row(f"{label}/{n}.jpg", label) for label, count in zip("abcd", (1, 2, 3, 7), strict=True) for n in range(count)
    ]
    sizes = Counter((r.label, r.split) for r in settle(source, settings, {}))
    assert all(sizes[label, "train"] for label in "abcd")
    assert all(sizes[label, split] for label in "cd" for split in ("val", "test"))


def test_exact_copies_are_kept_once_where_they_are_measured() -> None:
    source = [
        row("train/1.jpg", split="train", content="same"),
        row("test/2.jpg", split="test", content="same"),
        row("test/1.jpg", split="test", content="same"),
        row("train/2.jpg", split="train"),
    ]
    result = by_path(fresh(source))
    assert result["test/1.jpg"].status == "used"
    for path in ("train/1.jpg", "test/2.jpg"):
        assert (result[path].status, result[path].reason) == ("duplicate", "same picture as test/1.jpg")
    assert result["train/1.jpg"].split == "train"  # as given, so that a report can tell a leak from a repetition


def test_an_earlier_picture_is_kept_before_a_new_copy_of_it() -> None:
    old, new = row("train/1.jpg", split="train", content="same"), row("test/1.jpg", split="test", content="same")
    result = settle([new, old], SETTINGS, {old.sha256 or "": "train"})
    assert [(r.status, r.split) for r in result] == [("duplicate", "test"), ("used", "train")]


def test_a_picture_under_two_labels_is_left_out_everywhere() -> None:
    source = [row("a/1.jpg", "a", content="x"), row("a/2.jpg", "a", content="x"), row("b/1.jpg", "b", content="x")]
    assert [(r.status, r.reason) for r in fresh(source)] == [
        ("rejected", "same picture under two labels (b/1.jpg)"),
        ("rejected", "same picture under two labels (b/1.jpg)"),
        ("rejected", "same picture under two labels (a/1.jpg)"),
    ]


def test_near_copies_of_two_labels_are_used_together_and_told() -> None:
    source = [row("b.jpg", "b", motif=1, copy=1), row("a.jpg", "a", motif=1), row("c.jpg", "c", motif=2)]
    result = fresh(source)
    assert [r.status for r in result] == ["used"] * 3
    assert result[0].split == result[1].split
    assert result[0].group == result[1].group == f"near-{min(r.sha256 or '' for r in result[:2])[:12]}"
    assert result[2].group is None
    assert near_conflicts(result) == [(result[1], result[0])]


def test_near_copies_are_not_looked_for_when_not_wanted() -> None:
    source = [row(f"{n}.jpg", motif=1, copy=n) for n in range(50)]
    result = settle(source, PreprocessSettings(near_duplicates=False), {})
    assert {r.group for r in result} == {None}
    assert len({r.split for r in result}) == 3


def test_a_near_copy_in_training_makes_room_for_the_test_that_is_given() -> None:
    source = [
        row("test/1.jpg", split="test", motif=1),
        row("train/1.jpg", split="train", motif=1, copy=1),
        row("val/1.jpg", split="val", motif=1, copy=2),
        row("train/2.jpg", split="train", motif=2),
    ]
    result = fresh(source)
    assert [r.status for r in result] == ["used", "rejected", "rejected", "used"]
    assert result[1].reason == result[2].reason == "near copy in another split (test/1.jpg, test)"
    # The ones left out stand in the group of the one they are like, for the report to show them together.
    assert result[0].group == result[1].group == result[2].group is not None


def test_a_group_of_the_source_is_not_split_by_folders() -> None:
    source = [
        row("val/1.jpg", split="val", group="p1"),
        row("train/1.jpg", split="train", group="p1"),
        row("train/2.jpg", split="train", group="p2"),
        row("test/1.jpg", split="test"),
    ]
    result = fresh(source)
    assert result[1].reason == "same group in another split (val/1.jpg, val)"
    assert [r.group for r in result] == ["p1", "p1", "p2", None]


def flipped(one: ManifestRow, *parts: int) -> ManifestRow:
    """`one` with six bits of its hash flipped for each part: one part away is near, two parts away is not."""
    bits = sum(0b111111 << 6 * part for part in parts)
    return replace(one, phash=f"{int(one.phash or '', 16) ^ bits:016x}")


def test_only_direct_neighbours_of_the_test_are_left_out() -> None:
    """All are near to the second, none to another: without it nothing holds them together."""
    source = [
        flipped(row("test/1.jpg", split="test", motif=1), 0),
        row("train/1.jpg", split="train", motif=1),
        flipped(row("train/2.jpg", split="train", motif=1), 1),
        flipped(row("train/3.jpg", split="train", motif=1), 2),
        row("val/1.jpg", split="val"),
    ]
    result = fresh(source)
    assert [r.status for r in result] == ["used", "rejected", "used", "used", "used"]
    assert [r.group is None for r in result] == [False, False, True, True, True]


def test_a_chain_between_two_splits_is_cut_at_one_place_whatever_the_order() -> None:
    ends = [row("1.jpg", motif=1), flipped(row("2.jpg", motif=1), 0, 1, 2)]
    earlier: dict[str, Split] = {ends[0].sha256 or "": "train", ends[1].sha256 or "": "test"}
    links = [flipped(row("3.jpg", motif=1), 0), flipped(row("4.jpg", motif=1), 0, 1)]
    results = [by_path(settle(order, SETTINGS, earlier)) for order in (ends + links, ends + links[::-1])]
    assert results[0] == results[1]
    assert Counter(r.status for r in results[0].values()) == {"used": 3, "rejected": 1}


def test_nothing_is_added_to_a_test_that_is_given() -> None:
    source = [
        row("test/1.jpg", split="test", motif=1),
        row("1.jpg", motif=1, copy=1),
        row("2.jpg", split="train", motif=2),
    ]
    assert fresh(source)[1].reason == "near copy in another split (test/1.jpg, test)"


def test_new_pictures_join_or_are_left_out() -> None:
    old = [row("1.jpg", motif=1), row("2.jpg", motif=2), row("3.jpg", motif=3)]
    earlier: dict[str, Split] = dict(zip([r.sha256 or "" for r in old], ("train", "test", "val"), strict=True))
    new = [
        row("joins.jpg", motif=2, copy=1),
        row("ties.jpg", motif=1, copy=1, group="g"),
        row("named.jpg", motif=3, copy=1, group="g"),
        row("alone.jpg", motif=4),
    ]
    result = by_path(settle([*new, *old], SETTINGS, earlier))
    assert result["joins.jpg"].split == "test"
    assert [result[r.path].split for r in old] == ["train", "test", "val"]
    tied = [r for r in (result["ties.jpg"], result["named.jpg"]) if r.status == "rejected"]
    assert len(tied) == 1
    told = {
        "ties.jpg": "ties two splits together (1.jpg in train, 3.jpg in val)",
        "named.jpg": "ties two splits together (3.jpg in val, ties.jpg in train)",
    }
    assert cause(tied[0].reason or "") == cause(told[tied[0].path])
    assert result["alone.jpg"].status == "used"


def test_a_tie_names_both_pictures() -> None:
    old = [row("1.jpg", motif=1), row("2.jpg", motif=2, group="g")]
    earlier: dict[str, Split] = {old[0].sha256 or "": "train", old[1].sha256 or "": "test"}
    result = settle([*old, row("new.jpg", motif=1, copy=1, group="g")], SETTINGS, earlier)
    assert result[2].reason == "ties two splits together (1.jpg in train, 2.jpg in test)"
    assert [r.split for r in result[:2]] == ["train", "test"]


def test_a_picture_that_was_trained_on_is_no_test_picture_later() -> None:
    old = row("test/1.jpg", split="test")
    result = settle([old, row("train/1.jpg", split="train")], SETTINGS, {old.sha256 or "": "train"})
    assert result[0].split == "train"


def test_groups_that_near_copies_unite_have_one_name() -> None:
    source = [row(f"{n}.jpg", group=f"p{n}", motif=1, copy=n) for n in range(5)]
    assert {r.group for r in fresh(source)} == {"p0 + p1 + p2 + 2 more"}


def test_nothing_is_settled_without_pictures() -> None:
    assert fresh([]) == []
    assert near_conflicts([]) == []
