"""Advice on what limits what can be learned and what can be measured."""

import math
from collections.abc import Iterator

from imgcls_ray.data.sources import SPLITS
from imgcls_ray.reports.phrases import NAMED, SPLIT_NAMES, many, pairs, percent
from imgcls_ray.reports.report import Advice, ClassCount, DataReport, shown

SMALL = 100
"""Used pictures of a class below which advice is given."""
UNEQUAL = 2.0
"""Largest to smallest class above which the data counts as unequal."""
FEW = 1000
"""Validation or test pictures below which the chance in an accuracy is told; the standard error there is 0.9 points."""
MANY_COPIES = 0.05
MANY_ENLARGED = 0.1
MANY_DISTORTED = 0.1


def small_classes(report: DataReport) -> Iterator[Advice]:
    """Classes of few pictures."""
    small = sorted((entry for entry in report.classes if 0 < entry.used < SMALL), key=lambda entry: entry.used)
    if not small:
        return
    if len(small) <= NAMED:
        for entry in small:
            yield Advice(
                "small class", "act", f"{shown(entry.label)} has {many(entry.used, 'picture')}: {_means(entry)}."
            )
    else:
        first = ", ".join(f"{shown(entry.label)} ({entry.used})" for entry in small[:NAMED])
        yield Advice(
            "small class",
            "act",
            f"{len(small):,} of {len(report.classes):,} classes have fewer than {SMALL} pictures; the smallest are "
            f"{first}. More pictures of these help more than any setting.",
        )


def _means(entry: ClassCount) -> str:
    learned = f"{entry.train} to learn from"
    if entry.test:
        held = f"{entry.test} in the test, where each one is {percent(1, entry.test)} of its accuracy"
        return f"{learned} and only {held}. More pictures of it help more than any setting"
    return f"{learned}. More pictures of it help more than any setting"


def imbalance(report: DataReport) -> Iterator[Advice]:
    """Classes of very different size."""
    unequal = report.imbalance
    if unequal.smallest_count and unequal.ratio >= UNEQUAL:
        used = report.counts.used
        yield Advice(
            "unequal classes",
            "know",
            f"{shown(unequal.largest)} has {unequal.ratio:.1f} times the pictures of {shown(unequal.smallest)} "
            f"({unequal.largest_count:,} to {unequal.smallest_count:,}): always answering "
            f"{shown(unequal.largest)} would be right for {percent(unequal.largest_count, used)}, so look at each "
            "class's own accuracy and not only at the overall one.",
        )


def gray(report: DataReport) -> Iterator[Advice]:
    """Pictures without colour: all of them, or mostly those of one class."""
    found = report.gray
    if not found.gray or report.target.colorspace == "grayscale":
        return
    of = "" if found.looked == report.counts.used else " that were looked at"
    if found.gray == found.looked:
        yield Advice(
            "no colour",
            "act",
            f"All {found.looked:,} pictures{of} are without colour: colorspace grayscale gives the same pixels in a "
            "third of the bytes.",
        )
        return
    for entry in found.classes[:NAMED]:
        rest, others = found.looked - entry.looked, found.gray - entry.gray
        expected = others * entry.looked / max(rest, 1)
        # Counts scatter by their root (Poisson): four of these, from what the other classes lead to expect.
        if entry.gray >= 10 and rest and entry.gray > expected + 4 * math.sqrt(max(expected, 1)):
            yield Advice(
                "no colour",
                "know",
                f"{entry.gray:,} of {entry.looked:,} pictures of {shown(entry.label)}{of} are black and white, but "
                f"only {others:,} of the {rest:,} others: a model may take the lack of colour for a sign of "
                f"{shown(entry.label)}. Compare its accuracy with and without them, or try colorspace grayscale.",
            )


def enlarged(report: DataReport) -> Iterator[Advice]:
    """Pictures smaller than what they are made into."""
    number, used, target = report.sizes.enlarged, report.counts.used, report.target
    if number > MANY_ENLARGED * used:
        by = {quantity.name: quantity for quantity in report.sizes.quantities}
        height, width = by["height"].median, by["width"].median
        instead = (
            f"; an image size of {height:.0f}x{width:.0f} would fit half of them"
            if number < used
            else f"; an image size of {min(height, target.height):.0f}x{min(width, target.width):.0f} is enough"
        )
        yield Advice(
            "enlarged",
            "act",
            f"{number:,} of {used:,} pictures ({percent(number, used)}) are smaller than "
            f"{target.height}x{target.width} and are enlarged, which costs time and adds no detail{instead}.",
        )


def shapes(report: DataReport) -> Iterator[Advice]:
    """Pictures squeezed out of shape."""
    number, used, target = report.sizes.distorted, report.counts.used, report.target
    if not number or number <= MANY_DISTORTED * used:
        return
    aspect = next(quantity for quantity in report.sizes.quantities if quantity.name == "aspect")
    if report.sizes.shapes == 1:
        shape = report.sizes.common[0]
        fit = _fitting(shape.height / shape.width, target.height * target.width)
        yield Advice(
            "squeezed",
            "know",
            f"All pictures are {shape.height}x{shape.width} (height x width) and are squeezed to "
            f"{target.height}x{target.width}: an image size of {fit} would keep their shape for the same work.",
        )
        return
    yield Advice(
        "squeezed",
        "know",
        f"{number:,} of {used:,} pictures ({percent(number, used)}) are squeezed by more than a quarter to fit "
        f"{target.height}x{target.width} (width to height goes from {aspect.low:.2g} to {aspect.high:.2g}): resize "
        "crop keeps the shape and loses the edges, resize pad keeps all and adds black bars.",
    )


def _fitting(ratio: float, area: float) -> str:
    """HxW of about `area` pixels with `height / width` = ratio; in steps of 32, where backbones lose no border."""
    width = math.sqrt(area / ratio)
    step = 32 if min(width, width * ratio) >= 96 else 1
    return f"{max(round(width * ratio / step), 1) * step}x{max(round(width / step), 1) * step}"


def copies(report: DataReport) -> Iterator[Advice]:
    """Exact copies."""
    number, found = report.counts.duplicates, report.counts.found
    if number:
        yield Advice(
            "copies",
            "act" if number > MANY_COPIES * found else "know",
            f"{many(number, 'file')} {'is an exact copy of another' if number == 1 else 'are exact copies of others'} "
            f"({percent(number, found)} of all); each picture is used once: {pairs(report.duplicates.listed)}"
            f"{'; and more' if report.duplicates.groups > NAMED else ''}.",
        )


def near(report: DataReport) -> Iterator[Advice]:
    """Near copies, and what a random split would have done with them."""
    alike, leaks = report.near, report.leaks
    if alike.groups:
        yield Advice(
            "almost equal",
            "know",
            f"{alike.pictures:,} pictures are almost equal to another, in {many(alike.groups, 'group')} (such as "
            f"{pairs(alike.listed[:1])}); each group stays in one split.",
        )
    if leaks.expected >= 0.5 and leaks.held_out:
        yield Advice(
            "leaks avoided",
            "know",
            "A split drawn at random would have put a copy or near copy in the training of about "
            f"{leaks.expected:.0f} of the {leaks.held_out:,} validation and test pictures, and the accuracy would have "
            "looked better than it is.",
        )


def chance(report: DataReport) -> Iterator[Advice]:
    """How far chance alone moves an accuracy on few pictures."""
    for split in SPLITS[1:]:
        number, name = report.splits[split], SPLIT_NAMES[split]
        if 0 < number < FEW:
            points = 100 * math.sqrt(0.9 * 0.1 / number)  # standard error of a share of 0.9: the binomial's
            yield Advice(
                f"few {name} pictures",
                "know",
                f"The {name} split has {many(number, 'picture')}: an accuracy of 90 % measured on "
                f"{'it' if number == 1 else 'them'} is off by about {points:.1f} points either way by chance alone, so "
                "smaller differences between two models mean nothing.",
            )
