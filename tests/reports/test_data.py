"""Numbers of a report from hand-made rows."""

import json
import math
import random

import pytest

from imgcls_ray.data.labels import Labels
from imgcls_ray.errors import DataError
from imgcls_ray.reports.data import data_report
from imgcls_ray.reports.report import Absent, DataReport, Named, Shape, shown
from tests.reports.rows import LOOKS, OPS, many, rejected, report_of, row


def test_classes_splits_and_what_was_left_out_are_counted() -> None:
    rows = [
        *many("a", 5, 2, 3),
        *many("b", 2, 0, 0),
        rejected("a/bad.jpg", "truncated or damaged"),
        row("a/copy.jpg", None, status="duplicate", reason="same picture as a/00000.jpg"),
    ]
    report = report_of(rows)
    assert (report.counts.found, report.counts.used, report.counts.rejected, report.counts.duplicates) == (14, 12, 1, 1)
    assert report.splits == {"train": 7, "val": 2, "test": 3}
    first, second = report.classes
    assert (first.label, first.train, first.val, first.test, first.rejected, first.duplicates) == ("a", 5, 2, 3, 1, 1)
    assert (second.label, second.used) == ("b", 2)
    assert report.absent == (Absent("b", "val"), Absent("b", "test"))


def test_the_order_of_rows_changes_nothing() -> None:
    rows = [*many("a", 9, 3, 3, group="near-1", **LOOKS), *many("b", 4, 1, 1), rejected("b/x.jpg", "empty file")]
    shuffled = random.Random(1).sample(rows, len(rows))
    assert report_of(shuffled) == report_of(rows)


def test_imbalance_is_the_ratio_and_the_number_of_equal_classes() -> None:
    report = report_of([*many("a", 30), *many("b", 10)])
    assert report.imbalance.ratio == 3
    assert report.imbalance.effective == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))
    assert report_of([*many("a", 10), *many("b", 10)]).imbalance.effective == pytest.approx(2)


def test_a_class_without_a_picture_is_there() -> None:
    report = data_report(many("a", 3), Labels(("a", "ghost")), OPS)
    assert [entry.used for entry in report.classes] == [3, 0]
    assert math.isinf(report.imbalance.ratio)


def test_nothing_used_is_a_report_too() -> None:
    report = report_of([rejected("a/x.jpg", "empty file", width=None, height=None, sha256=None)])
    assert report.counts.used == 0
    assert report.sizes.quantities == ()


def test_sizes_are_quantiles_and_a_histogram_that_holds_all() -> None:
    rows = [row(f"a/{n}.jpg", width=100 + n, height=200, bytes=1000 * (n + 1)) for n in range(101)]
    report = report_of(rows)
    width = next(quantity for quantity in report.sizes.quantities if quantity.name == "width")
    assert (width.low, width.median, width.high) == (100, 150, 200)
    for quantity in report.sizes.quantities:
        assert sum(quantity.counts) == 101
        assert len(quantity.edges) == len(quantity.counts) + 1
    height = next(quantity for quantity in report.sizes.quantities if quantity.name == "height")
    assert height.counts == (101,)
    assert report.sizes.shapes == 101
    assert report.sizes.common[0].count == 1


def test_smaller_in_one_direction_is_enlarged() -> None:
    sizes = [(31, 100), (100, 31), (32, 32), (500, 500)]
    report = report_of([row(f"a/{w}x{h}.jpg", width=w, height=h) for w, h in sizes])
    assert report.sizes.enlarged == 2
    assert Shape(32, 32, 1) in report.sizes.common


def test_formats_come_from_the_names() -> None:
    paths = ["a/1.jpg", "a/2.JPEG", "a/3.png", "a/4", "s3://bucket/a/5.JPG"]
    assert report_of([row(path) for path in paths]).formats == (
        Named("JPEG", 3),
        Named("PNG", 1),
        Named("no ending", 1),
    )


def test_rejects_are_counted_by_cause_with_the_first_as_examples() -> None:
    rows = [rejected(f"a/{n:02}.jpg", f"too many pixels ({n}x9; max_pixels is 64)") for n in range(12)]
    rows += [rejected("a/x.jpg", "unknown label (x, y)"), *many("a", 3)]
    first, second = report_of(rows).causes
    assert (first.reason, first.count) == ("too many pixels", 12)
    assert [example.path for example in first.examples[:2]] == ["a/00.jpg", "a/01.jpg"]
    assert len(first.examples) < 12
    assert second.reason == "unknown label"


def test_exact_copies_stand_with_the_kept_one_first() -> None:
    rows = [
        row("z/kept (1).jpg"),
        row("a/copy.jpg", None, status="duplicate", reason="same picture as z/kept (1).jpg"),
        row("b/copy: 2.jpg", None, status="duplicate", reason="same picture as z/kept (1).jpg"),
    ]
    copies = report_of(rows).duplicates
    assert (copies.groups, copies.pictures) == (1, 3)
    assert [one.path for one in copies.listed[0].pictures] == ["z/kept (1).jpg", "a/copy.jpg", "b/copy: 2.jpg"]


def test_one_picture_under_two_labels_is_one_conflict() -> None:
    rows = [
        rejected("a/1.jpg", "same picture under two labels (b/1.jpg)", sha256="11"),
        rejected("b/1.jpg", "same picture under two labels (a/1.jpg)", sha256="11"),
        *many("a", 2),
    ]
    conflicts = report_of(rows).conflicts
    assert (conflicts.groups, conflicts.pictures) == (1, 2)
    assert {one.label for one in conflicts.listed[0].pictures} == {"a", "b"}


def test_groups_of_likeness_and_of_the_source_are_told_apart() -> None:
    rows = [
        row("a/1.jpg", group="near-1", **LOOKS),
        row("a/2.jpg", group="near-1", **LOOKS),
        row("b/3.jpg", group="near-1", **LOOKS),
        row("a/4.jpg", group="patient 7"),
        row("a/5.jpg", group="patient 7"),
        row("a/6.jpg", group="patient 8"),
    ]
    report = report_of(rows)
    assert (report.near.groups, report.near.pictures) == (1, 3)
    assert report.leaks.source_groups == 2
    assert (report.near_other_label.groups, report.near_other_label.pictures) == (1, 3)


def test_near_copies_with_one_label_are_no_conflict() -> None:
    rows = [row(f"a/{n}.jpg", group="near-1", **LOOKS) for n in range(3)]
    assert report_of([*rows, *many("b", 2)]).near_other_label.groups == 0


def test_left_out_near_copies_are_shown_with_their_group() -> None:
    rows = [
        row("a/1.jpg", "test", group="near-1"),
        rejected("a/2.jpg", "near copy in another split (a/1.jpg, test)", group="near-1"),
        rejected("a/4.jpg", "same group in another split (a/1.jpg, test)"),
        rejected("a/3.jpg", "ties two splits together (a/1.jpg in test, a/9.jpg in train)", group="near-1"),
    ]
    report = report_of(rows)
    assert report.near.pictures == 3
    leaks = report.leaks
    assert (leaks.near_left_out, leaks.ties_left_out, leaks.group_left_out) == (1, 1, 1)
    assert len(leaks.examples) == 3


def test_expected_leaks_are_what_drawing_at_random_gives() -> None:
    groups = [f"near-{n}" for n in range(100) for _ in range(3)]
    rows = [row(f"a/{n}.jpg", "train" if n < 210 else "test", group=group) for n, group in enumerate(groups)]
    rows += [
        row(f"a/copy{n}.jpg", None, status="duplicate", reason=f"same picture as a/{3 * n}.jpg") for n in range(100)
    ]
    draw = random.Random(0)
    drawn = 0
    for _ in range(200):
        for _ in range(100):  # three alike, and a copy of one of them
            trained = [draw.random() < 0.7 for _ in range(4)]
            drawn += trained.count(False) if any(trained) else 0
    assert report_of(rows).leaks.expected == pytest.approx(drawn / 200, rel=0.05)


def test_without_likeness_nothing_would_have_leaked() -> None:
    assert report_of(many("a", 20, 5, 5)).leaks.expected == 0


def test_odd_ones_are_found_and_said_why() -> None:
    rows = [
        *many("a", 300),
        row("a/banner.jpg", width=400, height=40, bytes=10_000),
        row("a/tiny.jpg", width=8, height=8, bytes=50),
        row("a/huge.jpg", width=400, height=400, bytes=100_000),
        row("a/lost.gif"),
        row("a/blank.jpg", bytes=20),
        row("a/black.jpg", signature=bytes(256)),
    ]
    report = report_of(rows)
    assert {one.picture.path: one.kinds for one in report.odd} == {
        "a/banner.jpg": ("large", "long"),
        "a/tiny.jpg": ("small",),
        "a/huge.jpg": ("large",),
        "a/lost.gif": ("format",),
        "a/blank.jpg": ("bytes",),
        "a/black.jpg": ("flat",),
    }
    assert report.flat == 1


def test_two_formats_in_like_numbers_are_not_odd() -> None:
    rows = [row(f"a/{n}.{'png' if n % 2 else 'jpg'}") for n in range(400)]
    assert report_of(rows).odd == ()


def test_long_lists_are_cut_and_still_counted() -> None:
    rows = [row(f"a/{n:05}-{k}.jpg", group=f"near-{n}") for n in range(1000) for k in range(2)]
    near = report_of(rows).near
    assert (near.groups, near.pictures) == (1000, 2000)
    assert len(near.listed) < 1000


def test_the_json_reads_back_equal() -> None:
    rows = [
        *many("a", 9, 3, 3, group="near-1"),
        *many("ü<", 4),
        rejected("b/\x1b[31m.jpg", "empty file"),
        row("a/copy.jpg", None, status="duplicate", reason="same picture as a/00000.jpg"),
    ]
    report = report_of(rows)
    assert DataReport.from_json(json.dumps(report.to_json())) == report


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 99}', '{"format_version": 1, "counts": 3}'])
def test_another_json_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(DataError, match="data report"):
        DataReport.from_json(text)


def test_shown_names_hold_no_control_marks_and_are_not_long() -> None:
    assert shown("a/b.jpg") == "a/b.jpg"
    assert shown("a\n\x1b[31m\u202egpj.exe") == "a\\u000a\\u001b[31m\\u202egpj.exe"
    assert len(shown("x" * 500)) <= 90
