"""Sizes, shapes and formats of pictures, and those that stand out by them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.similarity import SIDE, contrast
from imgcls_ray.reports.report import Odd, OddKind, Quantity, Shape, Sizes, picture

BINS = 24
DISTORTED = 1.25
"""Squeezed by more than this in one direction against the other, a circle is plainly no circle."""
FLAT = 3.0
"""Standard deviation in gray levels, of 255; the plainest of some thousand photographs looked at had 7."""
ODD_LISTED = 24
ODD_EACH = 6
"""Of one kind."""

Values = np.ndarray[Any, np.dtype[np.float64]]

_ALIASES = {"JPG": "JPEG", "JPE": "JPEG", "JFIF": "JPEG", "TIF": "TIFF", "DIB": "BMP"}


def format_of(row: ManifestRow) -> str:
    """The format that a file's bytes told; where none was kept, that of its name, or `no ending`."""
    return row.format or _by_name(row.path)


def _by_name(path: str) -> str:
    stem, _, ending = path.rpartition("/")[2].partition("?")[0].rpartition(".")
    ending = ending.upper() if stem else ""
    return _ALIASES.get(ending, ending) or "no ending"


def sizes_of(used: Sequence[ManifestRow], pixels: PixelOps) -> Sizes:
    """Spread of the sizes of `used` rows; rows without a known size are left out of it."""
    table = _table(used)
    width, height, size = table.T
    shapes = Counter(zip(width.astype(int).tolist(), height.astype(int).tolist(), strict=True))
    measures = {
        "width": width,
        "height": height,
        "aspect": width / height,
        "megapixels": width * height / 1e6,
        "bytes": size,
    }
    wanted = pixels.width / pixels.height
    aspect = measures["aspect"] / wanted
    squeezed = np.maximum(aspect, 1 / aspect) > DISTORTED
    return Sizes(
        quantities=tuple(_quantity(name, values) for name, values in measures.items()) if len(table) else (),
        common=tuple(Shape(*shape, number) for shape, number in shapes.most_common(5)),
        shapes=len(shapes),
        enlarged=int(((width < pixels.width) | (height < pixels.height)).sum()),
        distorted=int(squeezed.sum()) if pixels.resize == "stretch" else 0,
    )


def _known(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    return [row for row in rows if row.width and row.height]


def _table(rows: Sequence[ManifestRow]) -> Values:
    """(rows, 3): width, height, bytes."""
    values = [(row.width, row.height, row.bytes) for row in _known(rows)]
    return np.array(values, dtype=np.float64).reshape(-1, 3)


def _quantity(name: Any, values: Values) -> Quantity:
    low, p5, median, p95, high = np.quantile(values, (0, 0.05, 0.5, 0.95, 1)).tolist()
    edges = _edges(low, high, ratio=name == "aspect", whole=name in ("width", "height", "bytes"))
    counts, _ = np.histogram(values, edges)
    return Quantity(name, low, p5, median, p95, high, tuple(edges.tolist()), tuple(counts.tolist()))


def _edges(low: float, high: float, ratio: bool, whole: bool) -> Values:
    """Even steps; even factors for ratios and for values that span more than a factor of 8."""
    if low == high:
        return np.array((low, high))
    bins = min(BINS, int(high - low) + 1) if whole else BINS
    if low > 0 and (ratio or high / low > 8):
        edges = np.geomspace(low, high, bins + 1)
    else:
        edges = np.linspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high  # geomspace misses its ends by a rounding
    return edges


def odd_ones(used: Sequence[ManifestRow]) -> tuple[Odd, ...]:
    """Pictures that stand out, most telling first; none among fewer than ten, where nothing is usual yet."""
    rows = _known(used)
    if len(rows) < 10:
        return ()
    found: dict[int, list[tuple[OddKind, str]]] = {}
    for part in (_odd_formats(rows), _few_bytes(rows), _flat_ones(rows), _odd_areas(rows), _long_ones(rows)):
        for number, kind, why in part:
            found.setdefault(number, []).append((kind, why))
    return tuple(
        Odd(picture(rows[number]), tuple(kind for kind, _ in reasons), "; ".join(why for _, why in reasons))
        for number, reasons in list(found.items())[:ODD_LISTED]
    )


Found = Iterator[tuple[int, OddKind, str]]
"""A row's number, and why it stands out."""


def _odd_formats(rows: Sequence[ManifestRow]) -> Found:
    names = [format_of(row) for row in rows]
    formats = Counter(names)
    few = min(max(1, len(rows) // 200), 5)
    for number, name in enumerate(names):
        if formats[name] <= few and formats.most_common(1)[0][1] > len(rows) / 2:
            yield number, "format", f"{formats[name]} of {len(rows):,} files is {name}"


def _few_bytes(rows: Sequence[ManifestRow]) -> Found:
    """Far fewer bytes a pixel than usual: the log's distance from the median is over six robust standard deviations.

    These are 1.4826 times the median absolute deviation (Iglewicz and Hoaglin 1993); and it is at least a factor of 3.
    """
    width, height, size = _table(rows).T
    logs = np.log(np.maximum(size, 1) / (width * height))
    below = np.median(logs) - logs
    limit = max(6 * 1.4826 * float(np.median(np.abs(below))), float(np.log(3)))
    for number in np.argsort(-below, kind="stable")[:ODD_EACH].tolist():
        if below[number] > limit:
            factor = float(np.exp(below[number]))
            yield number, "bytes", f"{factor:.0f} times fewer bytes for its size than most"


def _flat_ones(rows: Sequence[ManifestRow]) -> Found:
    for number in np.flatnonzero(flat_ones(rows))[:ODD_EACH].tolist():
        yield number, "flat", "one even tone"


def flat_ones(rows: Sequence[ManifestRow]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(rows,): whether a picture's small gray likeness hardly varies: a black frame, a blank page, a closed lens."""
    flat = np.zeros(len(rows), np.bool_)
    for start in range(0, len(rows), 8192):  # all at once would take as much memory as the rows
        known = [n for n in range(start, min(start + 8192, len(rows))) if _signature(rows[n])]
        values = np.frombuffer(b"".join(_signature(rows[n]) for n in known), np.uint8).reshape(-1, SIDE * SIDE)
        flat[known] = contrast(values) < FLAT
    return flat


def _signature(row: ManifestRow) -> bytes:
    return row.signature if row.signature and len(row.signature) == SIDE * SIDE else b""


def _odd_areas(rows: Sequence[ManifestRow]) -> Found:
    width, height, _ = _table(rows).T
    area = width * height
    middle = float(np.median(area))
    order = np.argsort(area, kind="stable").tolist()
    for number in order[:ODD_EACH]:
        if area[number] < middle / 4:
            yield number, "small", f"{middle / area[number]:.0f} times fewer pixels than the middle one"
    for number in order[: -ODD_EACH - 1 : -1]:
        if area[number] > middle * 8:
            yield number, "large", f"{area[number] / middle:.0f} times the pixels of the middle one"


def _long_ones(rows: Sequence[ManifestRow]) -> Found:
    width, height, _ = _table(rows).T
    long = np.maximum(width / height, height / width)
    usual = float(np.median(long))
    for number in np.argsort(-long, kind="stable")[:ODD_EACH].tolist():
        if long[number] >= max(2.5, 1.5 * usual):
            yield (
                number,
                "long",
                f"{long[number]:.1f} times as {'wide as high' if width[number] > height[number] else 'high as wide'}",
            )
