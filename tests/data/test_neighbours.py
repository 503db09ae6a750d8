from pathlib import Path

import cv2
import numpy as np
import pytest

from imgcls_ray.data import neighbours
from imgcls_ray.data.neighbours import MOST_BITS, MOST_DISTANCE, Clusters, near_pairs
from imgcls_ray.data.similarity import Look, distance, look_of
from tests.data.looks import look


def noise(rng: np.random.Generator) -> bytes:
    return rng.integers(0, 256, 256, dtype=np.uint8).tobytes()


def scattered(seed: int, count: int) -> list[Look]:
    """Hashes at all small distances from some centres; signatures of two kinds."""
    rng = np.random.default_rng(seed)
    centres = [int(code) for code in rng.integers(0, 2**63, 20)]
    signatures = [noise(rng) for _ in range(2)]
    looks = []
    for _ in range(count):
        code = centres[rng.integers(20)]
        for bit in rng.choice(64, rng.integers(0, 8), replace=False):
            code ^= 1 << int(bit)
        looks.append(Look(f"{code:016x}", signatures[rng.integers(2)]))
    return looks


def by_hand(looks: list[Look]) -> list[tuple[int, int]]:
    codes = [int(one.phash, 16) for one in looks]
    arrays = [np.frombuffer(one.signature, np.uint8)[None] for one in looks]
    return [
        (i, j)
        for j in range(len(looks))
        for i in range(j)
        if (codes[i] ^ codes[j]).bit_count() <= MOST_BITS and distance(arrays[i], arrays[j])[0] <= MOST_DISTANCE
    ]


@pytest.mark.parametrize("seed", range(3))
def test_all_pairs_within_the_limits_are_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = scattered(seed, 150)
    expected = by_hand(looks)
    assert len(expected) > 100
    assert near_pairs(looks) == sorted(expected)
    monkeypatch.setattr(neighbours, "_FEW", 0)
    assert near_pairs(looks) == sorted(expected)
    monkeypatch.setattr(neighbours, "_CANDIDATES", 7)
    monkeypatch.setattr(neighbours, "_CONFIRMED", 5)
    assert near_pairs(looks) == sorted(expected)


def test_places_without_a_look_are_passed_over() -> None:
    assert near_pairs([None, look(1), None, look(2), look(1, 1)]) == [(1, 4)]
    assert near_pairs([]) == near_pairs([None]) == near_pairs([look(1)]) == []


def test_pictures_without_contrast_are_like_nothing() -> None:
    flat = [look_of(np.full((40, 40, 3), level, np.uint8)) for level in (0, 0, 10, 255, 255)]
    faint = np.full((40, 40, 3), 100, np.uint8)
    faint[:20] += 5
    assert near_pairs([*flat, look_of(faint), look_of(faint)]) == []


def test_a_picture_that_stands_thousands_of_times_gives_one_pair_for_each() -> None:
    pairs = near_pairs([look(7)] * 5000 + [look(8), look(7, 1)])
    assert len(pairs) == 5000
    clusters = Clusters(5002)
    for one, other in pairs:
        clusters.unite(one, other)
    assert {clusters.find(n) for n in range(5002)} == {0, 5000}


def test_thousands_of_pictures_that_share_only_the_hash_stay_apart() -> None:
    rng = np.random.default_rng(0)
    looks = [Look("00ff00ff00ff00ff", noise(rng)) for _ in range(2000)]
    assert near_pairs(looks) == []
    looks.append(Look("00ff00ff00ff00ff", looks[0].signature))
    assert near_pairs(looks) == [(0, 2000)]


@pytest.mark.parametrize("bad", [Look("0" * 16, b"short"), Look("0", b"\0" * 256)])
def test_a_look_of_another_kind_is_refused(bad: Look) -> None:
    with pytest.raises(ValueError, match="16 hex digits and 256 bytes"):
        near_pairs([look(1), bad])


def test_clusters_are_what_hangs_together() -> None:
    clusters = Clusters(7)
    for one, other in ((5, 3), (3, 6), (0, 1), (6, 5)):
        clusters.unite(one, other)
    assert [clusters.find(n) for n in range(7)] == [0, 0, 2, 3, 4, 3, 3]


def _looks(folder: Path, pattern: str) -> tuple[list[Path], list[Look]]:
    paths = sorted(folder.glob(pattern))
    return paths, [look_of(cv2.imread(str(path))[..., ::-1]) for path in paths]


def test_true_near_copies_and_no_others_are_found_in_photographs(test_data: Path) -> None:
    """Each of these pairs was looked at: second shots of one thing."""
    paths, looks = _looks(test_data / "trashnet", "paper/paper[1-5]*.jpg")
    found = {(paths[i].stem, paths[j].stem) for i, j in near_pairs(looks)}
    assert found == {("paper305", "paper308"), ("paper540", "paper56"), ("paper176", "paper549")}


def test_different_digits_are_not_near_copies(test_data: Path) -> None:
    _, looks = _looks(test_data / "mnist_gray", "Test/*/*.png")
    assert len(looks) == 1000
    assert near_pairs(looks) == []
