"""The report as one HTML page that needs nothing else: no network, no script."""

from collections.abc import Iterable, Iterator
from itertools import chain

from imgcls_ray.data.sources.base import Reader
from imgcls_ray.reports.charts import class_bars, histogram, largest_class
from imgcls_ray.reports.frame import template
from imgcls_ray.reports.report import HYGIENE, ClassCount, DataReport, Groups, Picture
from imgcls_ray.reports.thumbnails import Thumbnail, thumbnails

GROUPS_SHOWN = 24
"""Groups of copies that a section shows; `report.json` lists more."""
BARS_SHOWN = 200
"""Classes with a bar of their own: of more, the largest and the smallest; all are in a table that opens."""


def data_page(report: DataReport, reader: Reader | None, title: str) -> str:
    """The page.

    Args:
        report: what it says.
        reader: opens the pictures for the thumbnails; None leaves these out.
        title: the heading, plain text.
    """
    bars, rest = _barred(report.classes)
    largest = largest_class(report.classes)
    return template("data.html").render(
        report=report,
        title=title,
        thumbs=thumbnails(reader, _pictures(report)),
        bars=[(entry, class_bars(entry, largest)) for entry in bars],
        rest=rest,
        histograms=[histogram(quantity) for quantity in report.sizes.quantities],
        shown_groups=GROUPS_SHOWN,
        elsewhere=HYGIENE,
        no_thumbnail=Thumbnail(),
    )


def _barred(classes: tuple[ClassCount, ...]) -> tuple[list[ClassCount], list[ClassCount]]:
    """Classes with bars, largest first, and all others."""
    ordered = sorted(classes, key=lambda entry: -entry.used)
    if len(ordered) <= BARS_SHOWN:
        return ordered, []
    half = BARS_SHOWN // 2
    return ordered[:half] + ordered[-half:], ordered[half:-half]


def _pictures(report: DataReport) -> Iterator[Picture]:
    """All that have a place on the page, what calls for an act first: thumbnails end when their bounds are reached."""
    urgent = (report.conflicts, report.near_other_label)
    yield from chain.from_iterable(map(_of, urgent))
    yield from report.leaks.examples
    yield from (one.picture for one in report.odd)
    yield from chain.from_iterable(cause.examples for cause in report.causes if cause.reason not in HYGIENE)
    yield from chain.from_iterable(entry.examples for entry in report.classes)
    yield from chain.from_iterable(map(_of, (report.duplicates, report.near)))


def _of(groups: Groups) -> Iterable[Picture]:
    return chain.from_iterable(group.pictures for group in groups.listed[:GROUPS_SHOWN])
