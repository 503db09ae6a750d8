import random

from imgcls_ray.data.augmentation.dealing import Original, copy_place, deal, original_of, stem_of

ORIGINALS = [Original(f"train/{label}/{n}.jpg", label, f"{label}{n}") for label in "ab" for n in range(5)]


def test_each_class_is_brought_to_the_number_evenly() -> None:
    wanted = deal(ORIGINALS, {}, 18, seed=0)
    for label in "ab":
        numbers = [wanted[one.place] for one in ORIGINALS if one.label == label]
        assert sorted(map(len, numbers)) == [2, 2, 3, 3, 3]
        assert all(one == list(range(1, len(one) + 1)) for one in numbers)
    assert deal(ORIGINALS, {}, 18, seed=1) != wanted


def test_nothing_is_made_for_a_class_that_has_enough() -> None:
    assert deal(ORIGINALS[:7], {}, 5, seed=0).keys() == {"train/b/0.jpg", "train/b/1.jpg"}
    assert deal(ORIGINALS, {}, 1, seed=0) == {}
    assert deal([], {}, 5, seed=0) == {}


def test_a_killed_run_ends_as_it_would_have() -> None:
    whole = {(place, n) for place, numbers in deal(ORIGINALS, {}, 18, seed=0).items() for n in numbers}
    for seed in range(20):
        done = set(random.Random(seed).sample(sorted(whole), 10))
        there = {place: {n for p, n in done if p == place} for place, _ in done}
        rest = {(place, n) for place, numbers in deal(ORIGINALS, there, 18, seed=0).items() for n in numbers}
        assert rest | done == whole
        assert not rest & done


def test_new_originals_count_and_what_is_there_stays() -> None:
    there = {one.place: {1, 2} for one in ORIGINALS[:5]}
    more = [*ORIGINALS[:5], Original("train/a/9.jpg", "a", "a9")]
    assert deal(more, there, 16, seed=0) == {}
    assert deal(more, there, 18, seed=0) == {"train/a/9.jpg": [1, 2]}


def test_a_copy_takes_the_name_of_no_original() -> None:
    names = ("x.jpg", "x.jpg.aug-1.jpg", "x.jpg.aug-3.png", "x.jpg.aug-1.jpg.aug-1.jpg")
    originals = [Original(f"train/a/{name}", "a", name) for name in names]
    assert deal(originals, {"train/a/x.jpg": {2}}, 16, seed=0) == {
        "train/a/x.jpg": [4, 5],
        "train/a/x.jpg.aug-1.jpg": [2, 3, 4],
        "train/a/x.jpg.aug-3.png": [1, 2, 3],
        "train/a/x.jpg.aug-1.jpg.aug-1.jpg": [1, 2, 3],
    }


def test_copies_of_long_names_have_shorter_ones() -> None:
    for name in ("x" * 251 + ".jpg", "é" * 125 + "z.jpg", "x" * 240, "薔" * 80):
        originals = [Original(f"train/a/{name[:-2] + end}", "a", end) for end in ("ab", "cd")]
        places = {copy_place(one.place, 9_999_999, "jpeg") for one in originals}
        assert len(places) == 2
        assert all(len(place.rpartition("/")[2].encode()) <= 255 for place in places)
        stems = {stem_of(one.place): one.place for one in originals}
        for one in originals:
            assert original_of(copy_place(one.place, 7, "png"), stems) == (one.place, 7)
    for name in ("x" * 235 + ".jpg", "a.jpg"):
        assert stem_of(f"train/a/{name}") == f"train/a/{name}"


def test_names_tell_original_and_number() -> None:
    assert copy_place("train/a/x.tar.png", 12, "jpeg") == "train/a/x.tar.png.aug-12.jpg"
    assert original_of("train/a/x.tar.png.aug-12.jpg") == ("train/a/x.tar.png", 12)
    for other in ("train/a/x.aug-.jpg", "train/a/x.aug-0.jpg", "train/a/x.jpg", "train/a/x.aug-1.gif"):
        assert original_of(other) is None
