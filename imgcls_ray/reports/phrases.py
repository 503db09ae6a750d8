"""Words for figures: the same ones in the advice and on the page."""

from collections.abc import Iterable, Sequence

from imgcls_ray.data.sources import Split
from imgcls_ray.reports.report import Together, shown

NAMED = 3
"""Pictures or classes that one sentence names."""

SPLIT_NAMES: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}


def percent(part: float, whole: float) -> str:
    """`12 %`, `0.4 %`, `under 0.1 %`; of less than all never `100 %`, but `99.8 %`, `over 99.9 %`."""
    share = 100 * part / whole if whole else 0.0
    if 99.5 <= share < 100:
        return f"{share:.1f} %" if share <= 99.9 else "over 99.9 %"
    if share >= 10 or share == 0:
        return f"{share:.0f} %"
    return f"{share:.1f} %" if share >= 0.1 else "under 0.1 %"


def many(number: float, noun: str, plural: str = "") -> str:
    """`1 picture`, `1,200 pictures`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def names(words: Sequence[str], total: int) -> str:
    """`a, b and c`, or `a, b and 7 more`."""
    first = [shown(name) for name in words[:NAMED]]
    rest = total - len(first)
    if rest > 0:
        return f"{', '.join(first)} and {rest:,} more"
    return f"{', '.join(first[:-1])} and {first[-1]}" if len(first) > 1 else "".join(first)


def pairs(groups: Iterable[Together]) -> str:
    """`a = b; c = d` for the first groups."""
    return "; ".join(names([one.path for one in group.pictures], group.count) for group in list(groups)[:NAMED])
