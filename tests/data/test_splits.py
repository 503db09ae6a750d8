import math
from collections import Counter

import pytest

from imgcls_ray.data.splits import Group, Shares, rank, represented, unit

A, B = frozenset({"a"}), frozenset({"b"})
BOTH = ("test", "val")


def drawn(count: int, seed: int = 0, test: float = 0.2, val: float = 0.1) -> Counter[str]:
    shares = Shares.of((), test, val)
    return Counter(shares.split(unit(seed, f"{number:064x}")) for number in range(count))


def group(place: float, split: str, labels: frozenset[str] = A, free: bool = True) -> Group:
    return Group(place, labels, split, free)  # type: ignore[arg-type]


@pytest.mark.parametrize(("test", "val"), [(0.2, 0.1), (0.5, 0.5), (0.01, 0.8)])
def test_shares_are_kept_within_the_noise_of_a_coin(test: float, val: float) -> None:
    count = 20_000
    got = drawn(count, 3, test, val)
    for split, share in (("test", test), ("val", (1 - test) * val)):
        assert abs(got[split] - count * share) < 5 * math.sqrt(count * share * (1 - share))


@pytest.mark.parametrize(
    ("brought", "test", "val", "splits"),
    [
        ((), 0.2, 0.08, ("test", "val")),
        (("train",), 0.2, 0.08, ("test", "val")),
        (("train", "test"), 0.0, 0.1, ("val",)),
        (("train", "val"), 0.2, 0.0, ("test",)),
        (("train", "val", "test"), 0.0, 0.0, ()),
    ],
)
def test_what_the_source_brings_is_not_drawn(
    brought: tuple[str, ...], test: float, val: float, splits: tuple[str, ...]
) -> None:
    shares = Shares.of(brought, 0.2, 0.1)  # type: ignore[arg-type]
    assert (shares.test, shares.val) == pytest.approx((test, val))
    assert shares.drawn == splits


def test_the_draw_follows_seed_and_key_only() -> None:
    assert unit(7, "a") == unit(7, "a") != unit(8, "a") != unit(8, "b")
    assert rank(1, "split", "a") != rank(1, "shard", "a")


def test_places_are_below_one_even_for_the_largest_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcls_ray.data.splits.rank", lambda *_: b"\xff" * 32)
    assert unit(0, "any") < 1


def test_each_drawn_split_gets_the_group_next_in_line() -> None:
    groups = [group(0.9, "train"), group(0.5, "train"), group(0.6, "train"), group(0.7, "train")]
    assert represented(groups, BOTH) == ["train", "test", "val", "train"]


def test_training_gets_the_group_of_the_highest_place() -> None:
    assert represented([group(0.1, "test"), group(0.15, "test")], BOTH) == ["test", "train"]
    assert represented([group(0.1, "test")], BOTH) == ["train"]


def test_three_groups_in_one_split_are_dealt_out() -> None:
    for split in ("test", "val", "train"):
        groups = [group(0.1, split), group(0.2, split), group(0.3, split)]
        assert sorted(represented(groups, BOTH)) == ["test", "train", "val"]


def test_two_groups_need_no_more_than_training() -> None:
    assert represented([group(0.5, "train"), group(0.6, "train")], BOTH) == ["train", "train"]


def test_what_is_represented_stays() -> None:
    groups = [group(0.1, "test"), group(0.21, "val"), *[group(0.5 + n / 100, "train") for n in range(20)]]
    assert represented(groups, BOTH) == [g.split for g in groups]


def test_groups_that_are_not_free_stay() -> None:
    groups = [group(place, "train", free=False) for place in (0.1, 0.2, 0.3)]
    assert represented(groups, BOTH) == ["train"] * 3
    assert represented([*groups, group(0.9, "train")], BOTH) == ["train"] * 3 + ["test"]


def test_a_split_is_not_emptied_of_another_class() -> None:
    # The only group of b in training holds a as well, and a lacks a test picture.
    groups = [group(0.3, "train", A | B), group(0.8, "train"), group(0.7, "train"), group(0.1, "test", B)]
    assert represented(groups, ("test",)) == ["train", "train", "test", "test"]


def test_classes_that_share_their_groups_are_all_represented() -> None:
    groups = [group(place, "train", A | B) for place in (0.5, 0.6, 0.7)]
    assert represented(groups, BOTH) == ["test", "val", "train"]
