"""Each piece of advice is given when there is a reason, with its numbers, and not otherwise."""

from dataclasses import replace

import pytest

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.reports.data import data_report
from imgcls_ray.reports.phrases import percent
from imgcls_ray.reports.report import DataReport, Gray, GrayClass
from tests.reports.rows import LOOKS, OPS, many, plain, rejected, report_of, row


def texts(report: DataReport, about: str) -> list[str]:
    """The advice about one thing."""
    return [advice.text for advice in report.advice if advice.about == about]


def test_data_without_oddities_gets_no_advice() -> None:
    assert report_of(plain()).advice == ()


CASES: list[tuple[str, list[ManifestRow], tuple[str, ...]]] = [
    (
        "several labels",
        [
            rejected("cat/x.jpg", "same picture under two labels (dog/y.jpg)", sha256="1"),
            rejected("dog/y.jpg", "same picture under two labels (cat/x.jpg)", sha256="1"),
        ],
        ("cat/x.jpg and dog/y.jpg", "2 files", "delete"),
    ),
    (
        "almost equal, other label",
        [row("cat/p.jpg", group="near-1", **LOOKS), row("dog/q.jpg", group="near-1", **LOOKS)],
        ("cat/p.jpg and dog/q.jpg", "different labels"),
    ),
    ("leaks", [rejected("cat/x.jpg", "near copy in another split (cat/y.jpg, test)")], ("1 picture was", "given")),
    (
        "leaks",
        [rejected(f"cat/x{n}.jpg", "same group in another split (cat/y.jpg, test)") for n in range(2)],
        ("2 pictures were", "same group", "given"),
    ),
    (
        "leaks",
        [rejected(f"cat/x{n}.jpg", "ties two splits together (a in train, b in test)") for n in range(2)],
        ("2 pictures were", "two splits"),
    ),
    ("left out", [rejected("cat/x.jpg", "empty file")], ("1 file of 3,201", "empty file, 1", "cat/x.jpg")),
    ("perhaps no picture of its class", [row("cat/lost.gif")], ("cat/lost.gif is not JPEG",)),
    ("perhaps no picture of its class", [row("cat/lost.jpg", bytes=10)], ("cat/lost.jpg is almost empty",)),
    ("one even tone", [row("cat/night.jpg", signature=bytes(256))], ("1 picture shows", "cat/night.jpg")),
    ("small class", many("owl", 60, 5, 16), ("owl has 81 pictures", "60 to learn from", "16 in the test", "6.2 %")),
    (
        "small class",
        [entry for name in "efgh" for entry in many(name, 30, 10, 10)],
        ("4 of 6 classes", "e (50), f (50), g (50)"),
    ),
    ("unequal classes", many("owl", 300, 50, 50), ("4.0 times", "1,600 to 400", "44 %")),
    ("copies", [row("cat/2.jpg", None, status="duplicate", reason="same picture as cat/00000.jpg")], ("1 file is",)),
    ("almost equal", [row(f"cat/n{n}.jpg", group="near-1") for n in range(4)], ("4 pictures", "1 group", "cat/n0.jpg")),
    (
        "leaks avoided",
        [row(f"cat/n{n}.jpg", group=f"near-{n // 2}") for n in range(40)],
        ("of about 9 of the 2,000",),
    ),
    ("class missing in a split", many("owl", 600, 500, 0), ("owl has no picture in the test split",)),
    ("class missing in a split", many("owl", 0, 500, 500), ("owl has no picture in the training", "can't be learned")),
    ("enlarged", [row(f"cat/s{n}.jpg", width=20, height=20) for n in range(1000)], ("1,000 of 4,200", "32x32")),
    ("squeezed", [row(f"cat/s{n}.jpg", width=80, height=40) for n in range(1000)], ("1,000 of 4,200", "crop", "pad")),
]


@pytest.mark.parametrize(("about", "more", "parts"), CASES, ids=[case[0] + case[1][0].path for case in CASES])
def test_advice_is_given_with_its_numbers(about: str, more: list[ManifestRow], parts: tuple[str, ...]) -> None:
    report = report_of([*plain(), *more])
    (text,) = texts(report, about)
    for part in parts:
        assert part in text
    assert text.endswith(".")


def test_what_calls_for_an_act_comes_first() -> None:
    report = report_of([*plain(), *many("owl", 60, 5, 16), rejected("cat/x.jpg", "empty file")])
    levels = [advice.level for advice in report.advice]
    assert levels == sorted(levels)
    assert {"act", "know"} == set(levels)


def test_many_rejects_call_for_an_act_and_few_do_not() -> None:
    for number, level in ((10, "know"), (100, "act")):
        report = report_of([*plain(), *[rejected(f"cat/x{n}.jpg", "empty file") for n in range(number)]])
        assert [advice.level for advice in report.advice] == [level]


def test_pictures_left_out_for_hygiene_are_not_called_unusable() -> None:
    report = report_of([*plain(), rejected("cat/x.jpg", "near copy in another split (cat/y.jpg, test)")])
    assert texts(report, "left out") == []


def test_an_empty_class_is_named() -> None:
    report = data_report(plain(), Labels(("cat", "dog", "yeti")), OPS)
    (text,) = texts(report, "empty class")
    assert text.startswith("yeti has no picture")
    assert texts(report, "class missing in a split") == []
    assert texts(report, "unequal classes") == []


def test_few_pictures_to_measure_on_are_told_with_the_binomial_error() -> None:
    report = report_of([*many("a", 300, 50, 200), *many("b", 300, 50, 200)])
    (val,) = texts(report, "few validation pictures")
    (test,) = texts(report, "few test pictures")
    assert "100 pictures" in val
    assert "3.0 points" in val  # sqrt(.9 * .1 / 100)
    assert "400 pictures" in test
    assert "1.5 points" in test


def test_one_shape_for_all_gives_an_image_size_that_keeps_it() -> None:
    rows = [replace(entry, width=384, height=512) for entry in plain()]
    (text,) = texts(report_of(rows, PixelOps(224, 224, "color")), "squeezed")
    assert "512x384" in text
    assert "256x192" in text


def test_other_ways_of_resizing_squeeze_nothing() -> None:
    rows = [replace(entry, width=384, height=512) for entry in plain()]
    assert texts(report_of(rows, PixelOps(224, 224, "color", "pad")), "squeezed") == []


def test_all_gray_pictures_ask_for_grayscale_unless_it_is_chosen() -> None:
    gray = Gray(3200, 3200, (GrayClass("cat", 1600, 1600), GrayClass("dog", 1600, 1600)))
    (text,) = texts(report_of(plain(), gray=gray), "no colour")
    assert "All 3,200 pictures" in text
    assert texts(report_of(plain(), PixelOps(32, 32, "grayscale"), gray=gray), "no colour") == []


def test_gray_pictures_of_mostly_one_class_are_told() -> None:
    gray = Gray(3200, 32, (GrayClass("cat", 1600, 27), GrayClass("dog", 1600, 5)))
    (text,) = texts(report_of(plain(), gray=gray), "no colour")
    assert "27 of 1,600 pictures of cat" in text
    assert "only 5 of the 1,600 others" in text


@pytest.mark.parametrize(("cats", "dogs"), [(27, 20), (5, 0), (0, 0)])
def test_gray_pictures_that_chance_explains_are_not(cats: int, dogs: int) -> None:
    gray = Gray(3200, cats + dogs, (GrayClass("cat", 1600, cats), GrayClass("dog", 1600, dogs)))
    assert texts(report_of(plain(), gray=gray), "no colour") == []


def test_names_in_advice_can_be_printed() -> None:
    report = report_of([*plain(), rejected("cat/\x1b[2J\n.jpg", "empty file")])
    assert all(advice.text.isprintable() for advice in report.advice)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 5, "0 %"),
        (5, 0, "0 %"),
        (1, 8, "12 %"),
        (1, 30, "3.3 %"),
        (1, 9999, "under 0.1 %"),
        (7, 7, "100 %"),
        (99.4, 100, "99 %"),
        (199, 200, "99.5 %"),
        (1996, 2000, "99.8 %"),
        (999, 1000, "99.9 %"),
        (9999, 10000, "over 99.9 %"),
    ],
)
def test_percent(part: float, whole: float, said: str) -> None:
    assert percent(part, whole) == said
