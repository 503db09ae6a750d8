"""What a data report says, as typed facts: the page and `report.json` show the same ones."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from imgcls_ray.data.manifest import Counts, ManifestRow, Status
from imgcls_ray.data.sources import Split
from imgcls_ray.errors import DataError

FORMAT_VERSION = 1

COPY = "same picture as "
TWO_LABELS = "same picture under two labels"
NEAR_COPY = "near copy in another split"
SAME_GROUP = "same group in another split"
TIES = "ties two splits together"
HYGIENE = (TWO_LABELS, NEAR_COPY, SAME_GROUP, TIES)
"""Causes for which a usable picture is left out; each has a section and advice of its own."""

Level = Literal["act", "know"]
"""`act`: something to mend or to decide; `know`: good to have in mind when figures are read."""


OddKind = Literal["format", "bytes", "flat", "small", "large", "long"]
"""What makes a picture stand out: a format that others do not have, few bytes for its size, one even tone,
its size, its shape."""


@dataclass(frozen=True)
class Picture:
    """One file of the manifest, as it is shown."""

    path: str
    label: str
    split: Split | None
    status: Status
    width: int | None
    """In pixels, as stored."""
    height: int | None
    bytes: int
    reason: str | None = None


def picture(row: ManifestRow) -> Picture:
    """A row as it is shown."""
    return Picture(row.path, row.label, row.split, row.status, row.width, row.height, row.bytes, row.reason)


@dataclass(frozen=True)
class ClassCount:
    """One class: used pictures by split, and what was left out."""

    label: str
    train: int
    val: int
    test: int
    rejected: int
    duplicates: int
    examples: tuple[Picture, ...] = ()
    """A few of its used pictures, drawn by content hash; none where there are many classes."""

    @property
    def used(self) -> int:
        """Pictures in all splits."""
        return self.train + self.val + self.test


@dataclass(frozen=True)
class Imbalance:
    """How unequal the classes are, by their used pictures."""

    largest: str
    largest_count: int
    smallest: str
    smallest_count: int
    effective: float
    """The number of equally large classes that would be as varied: exp of the entropy of the shares (Hill 1973)."""

    @property
    def ratio(self) -> float:
        """Largest to smallest; infinite where the smallest is empty."""
        return self.largest_count / self.smallest_count if self.smallest_count else float("inf")


@dataclass(frozen=True)
class Quantity:
    """How one measure is spread over the used pictures."""

    name: Literal["width", "height", "aspect", "megapixels", "bytes"]
    """`aspect` is width to height."""
    low: float
    p5: float
    median: float
    p95: float
    high: float
    edges: tuple[float, ...]
    """Borders of the histogram's bins, one more than `counts`; one bin where all are equal."""
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """A size in pixels and how many used pictures have it."""

    width: int
    height: int
    count: int


@dataclass(frozen=True)
class Target:
    """What preprocess makes of every picture."""

    height: int
    width: int
    colorspace: str
    resize: str


@dataclass(frozen=True)
class Sizes:
    """Sizes of the used pictures, as stored (before EXIF orientation)."""

    quantities: tuple[Quantity, ...]
    common: tuple[Shape, ...]
    """The most common shapes first, five at most."""
    shapes: int
    """How many different shapes there are."""
    enlarged: int
    """Used pictures with a side below the target's."""
    distorted: int
    """Used pictures that `stretch` squeezes by more than a quarter in one direction; 0 for other ways of resizing."""


@dataclass(frozen=True)
class Named:
    """A count under a name."""

    name: str
    count: int


@dataclass(frozen=True)
class Cause:
    """Files left out for one reason, with the first few in order of path."""

    reason: str
    count: int
    examples: tuple[Picture, ...]


@dataclass(frozen=True)
class Together:
    """Pictures that belong together: copies, near copies, one picture under several labels."""

    pictures: tuple[Picture, ...]
    """In order of path; where one is used and others are its copies, the used one first."""
    count: int
    """Of all of them, shown or not."""


@dataclass(frozen=True)
class Groups:
    """A list that is cut: `groups` and `pictures` count all, `listed` holds the first ones."""

    groups: int
    pictures: int
    listed: tuple[Together, ...]


@dataclass(frozen=True)
class Leaks:
    """What would have been in training and in a test at once."""

    expected: float
    """Held-out pictures (validation and test) that a random split would have given a copy or near copy in training."""
    held_out: int
    """Pictures that validation and test hold now."""
    near_left_out: int
    """Left out because a near copy is in another split that was given."""
    ties_left_out: int
    """Left out because they would tie two splits together."""
    group_left_out: int
    """Left out because their group, as the source gave it, is in another split that was given."""
    source_groups: int
    """Groups the source gave (patients, films), each kept in one split."""
    examples: tuple[Picture, ...]


@dataclass(frozen=True)
class Absent:
    """A class without a picture in a split that has others."""

    label: str
    split: Split


@dataclass(frozen=True)
class GrayClass:
    """Pictures of a class that were looked at, and those of them without colour."""

    label: str
    looked: int
    gray: int


@dataclass(frozen=True)
class Gray:
    """Used pictures without colour. Not all are looked at where there are many: see `looks`."""

    looked: int = 0
    gray: int = 0
    classes: tuple[GrayClass, ...] = ()
    """Those with at least one without colour, most first."""


@dataclass(frozen=True)
class Odd:
    """A picture worth a look, and why."""

    picture: Picture
    kinds: tuple[OddKind, ...]
    why: str


@dataclass(frozen=True)
class Advice:
    """One plain sentence or two, with the numbers in them."""

    about: str
    level: Level
    text: str


@dataclass(frozen=True)
class DataReport:
    """Everything that is known of a data set before training."""

    counts: Counts
    splits: Mapping[Split, int]
    classes: tuple[ClassCount, ...]
    """In the order of the labels."""
    imbalance: Imbalance
    target: Target
    sizes: Sizes
    formats: tuple[Named, ...]
    """Of the used pictures by their names' endings, most first."""
    causes: tuple[Cause, ...]
    """Most first."""
    duplicates: Groups
    near: Groups
    conflicts: Groups
    """The same picture under several labels."""
    near_other_label: Groups
    """Near copies with different labels."""
    leaks: Leaks
    absent: tuple[Absent, ...]
    gray: Gray
    flat: int
    """Used pictures of one even tone."""
    odd: tuple[Odd, ...]
    advice: tuple[Advice, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The advice as plain text, what calls for an act first."""
        return tuple(advice.text for advice in self.advice)

    @property
    def urgent(self) -> tuple[str, ...]:
        """The advice that calls for an act."""
        return tuple(advice.text for advice in self.advice if advice.level == "act")

    def to_json(self) -> dict[str, Any]:
        """The document of `report.json`."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, text: str | bytes) -> "DataReport":
        """Read what `to_json` made, from the file's text.

        Raises:
            DataError: it is not such a document.
        """
        try:
            document = json.loads(text)
            if not isinstance(document, dict) or document.pop("format_version", None) != FORMAT_VERSION:
                raise ValueError(f"its format_version is not {FORMAT_VERSION}")
            return _adapter().validate_python(document)
        except ValueError as error:
            raise DataError(f"A data report is what preprocess writes; this one can't be used ({error}).") from error


@cache
def _adapter() -> TypeAdapter[DataReport]:
    return TypeAdapter(DataReport)


def shown(path: str, limit: int = 90) -> str:
    """A file's name that can be printed anywhere: no control or direction marks, its middle cut when it is long."""
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in path)
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-limit // 2 :]}"
