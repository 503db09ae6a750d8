"""Hand-made manifest rows: what the tests of the reports count."""

import hashlib
from dataclasses import replace
from typing import Any

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.sources import Split
from imgcls_ray.reports.data import data_report
from imgcls_ray.reports.report import DataReport

OPS = PixelOps(32, 32, "color")
LOOKS = {"phash": "00ff" * 4, "signature": bytes(range(256))}


def row(path: str, split: Split | None = "train", **changes: Any) -> ManifestRow:
    """A used row of 40 x 40 pixels in 1,000 bytes; its label is its folder, its content its path."""
    made = ManifestRow(
        path=path,
        label=path.partition("/")[0],
        split=split,
        sha256=hashlib.sha256(path.encode()).hexdigest(),
        width=40,
        height=40,
        bytes=1000,
        status="used",
    )
    return replace(made, **changes)


def rejected(path: str, reason: str, **changes: Any) -> ManifestRow:
    """A row that is left out."""
    return row(path, None, status="rejected", reason=reason, **changes)


def many(label: str, train: int, val: int = 0, test: int = 0, **changes: Any) -> list[ManifestRow]:
    """Used rows of one class."""
    splits: list[Split] = ["train"] * train + ["val"] * val + ["test"] * test
    return [row(f"{label}/{number:05}.jpg", split, **changes) for number, split in enumerate(splits)]


def plain() -> list[ManifestRow]:
    """Two equal classes that give no reason for advice."""
    return [*many("cat", 600, 500, 500), *many("dog", 600, 500, 500)]


def report_of(rows: list[ManifestRow], ops: PixelOps = OPS, **kwargs: Any) -> DataReport:
    """The report of `rows`, the classes being their labels."""
    return data_report(rows, Labels.of(entry.label for entry in rows if entry.label), ops, **kwargs)
