from collections import Counter

import pytest

from imgcls_ray.data.splits import split_class


def keys(count: int) -> list[str]:
    return [f"{number:064x}" for number in range(count)]


@pytest.mark.parametrize(
    ("count", "test", "val", "expected"),
    [
        (100, 0.2, 0.1, (72, 8, 20)),
        (100, None, 0.1, (90, 10, 0)),
        (100, 0.2, None, (80, 0, 20)),
        (100, None, None, (100, 0, 0)),
        (3, 0.2, 0.1, (1, 1, 1)),
        (3, 0.89, 0.89, (1, 1, 1)),
        (4, 0.89, 0.1, (1, 1, 2)),
        (2, 0.2, 0.1, (2, 0, 0)),
        (2, 0.8, 0.8, (1, 0, 1)),
        (1, 0.8, 0.8, (1, 0, 0)),
    ],
)
def test_sizes_of_the_splits(count: int, test: float | None, val: float | None, expected: tuple[int, int, int]) -> None:
    sizes = Counter(split_class(keys(count), 0, test, val).values())
    assert (sizes["train"], sizes["val"], sizes["test"]) == expected


def test_the_split_follows_content_and_seed_not_order() -> None:
    first = split_class(keys(50), 7, 0.2, 0.1)
    assert split_class(keys(50)[::-1], 7, 0.2, 0.1) == first
    assert split_class(keys(50), 8, 0.2, 0.1) != first


def test_a_new_picture_moves_few_others() -> None:
    before, after = split_class(keys(200), 0, 0.2, 0.1), split_class(keys(201), 0, 0.2, 0.1)
    assert sum(before[key] != after[key] for key in before) <= 3
