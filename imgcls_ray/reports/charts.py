"""The geometry of the page's charts; the template draws it as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from imgcls_ray.reports.report import ClassCount, Quantity

WIDTH, HEIGHT = 320, 110
"""Of a histogram's drawing, in its own units."""

TITLES = {
    "width": "Width, pixels",
    "height": "Height, pixels",
    "aspect": "Width to height",
    "megapixels": "Megapixels",
    "bytes": "File size",
}


@dataclass(frozen=True)
class Bar:
    """A rectangle with the words that a pointer or a screen reader finds on it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Histogram:
    """One quantity: bars from the left to the right, and where its middle is."""

    title: str
    bars: tuple[Bar, ...]
    median_x: float
    low: str
    median: str
    high: str
    single: bool
    """All values are equal."""


def class_bars(entry: ClassCount, largest: int) -> tuple[Bar, ...]:
    """One row of 100 x 10: used pictures by split, then what was left out; `largest` pictures fill it."""
    parts = (
        ("train", "training", entry.train),
        ("val", "validation", entry.val),
        ("test", "test", entry.test),
        ("duplicate", "exact copies, left out", entry.duplicates),
        ("rejected", "left out", entry.rejected),
    )
    bars = []
    x = 0.0
    for kind, name, number in parts:
        if number:
            width = 100 * number / max(largest, 1)
            bars.append(Bar(round(x, 3), 0, round(width, 3), 10, kind, f"{name}: {number:,}"))
            x += width
    return tuple(bars)


def largest_class(classes: Sequence[ClassCount]) -> int:
    """All files of the class that has most."""
    return max(entry.used + entry.duplicates + entry.rejected for entry in classes)


def histogram(quantity: Quantity) -> Histogram:
    """Bars of equal width whatever the bins' widths, so that bins in even factors read as a logarithmic axis."""
    top = max(quantity.counts)
    step = WIDTH / len(quantity.counts)
    bars = []
    for number, count in enumerate(quantity.counts):
        if count:
            # A bin of one picture in thousands is still seen.
            height = max(HEIGHT * count / top, 1.5)
            low, high = quantity.edges[number], quantity.edges[number + 1]
            title = f"{value(quantity.name, low)} to {value(quantity.name, high)}: {count:,}"
            bars.append(
                Bar(
                    round(number * step + 0.5, 2),
                    round(HEIGHT - height, 2),
                    round(step - 1, 2),
                    round(height, 2),
                    "bin",
                    title,
                )
            )
    return Histogram(
        title=TITLES[quantity.name],
        bars=tuple(bars),
        median_x=round(_place(quantity), 2),
        low=value(quantity.name, quantity.low),
        median=value(quantity.name, quantity.median),
        high=value(quantity.name, quantity.high),
        single=quantity.low == quantity.high,
    )


def _place(quantity: Quantity) -> float:
    """Where the median is on the drawing: inside its bin by its share of it."""
    step = WIDTH / len(quantity.counts)
    for number in range(len(quantity.counts)):
        low, high = quantity.edges[number], quantity.edges[number + 1]
        if quantity.median <= high:
            return step * (number + ((quantity.median - low) / (high - low) if high > low else 0.5))
    return float(WIDTH)


def value(name: str, number: float) -> str:
    """A number as its quantity is said: `1,024`, `1.33`, `0.15`, `38 kB`."""
    if name == "bytes":
        return byte_size(number)
    if name in ("width", "height"):
        return f"{number:,.0f}"
    digits = max(2 - math.floor(math.log10(number)), 0) if number > 0 else 0
    return f"{number:,.{min(digits, 5)}f}"


def byte_size(number: float) -> str:
    """`512 B`, `38 kB`, `2.1 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            amount = number / size
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:,.0f} {unit}"
    return f"{number:.0f} B"
