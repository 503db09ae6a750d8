"""The report's files, beside the set they tell of."""

import json
from pathlib import Path

from imgcls_ray.data.files import storing, write_atomic
from imgcls_ray.data.index import read_index
from imgcls_ray.data.manifest import MANIFEST, read_manifest
from imgcls_ray.data.sources.base import Reader
from imgcls_ray.reports.data import NOT_LOOKED, data_report
from imgcls_ray.reports.layout import data_page
from imgcls_ray.reports.looks import look_for_gray
from imgcls_ray.reports.report import DataReport

REPORT_JSON = "report.json"
REPORT = "report.html"


def has_data_report(folder: Path) -> bool:
    """Whether the preprocessed set in `folder` has a report that was written after its manifest.

    The manifest changes without any picture being decoded where files are gone, or after a kill.
    """
    report = folder / REPORT
    return report.is_file() and report.stat().st_mtime_ns >= (folder / MANIFEST).stat().st_mtime_ns


def write_data_report(folder: Path, reader: Reader | None, title: str) -> DataReport:
    """Write `report.json` and `report.html` of the preprocessed set in `folder`, each whole or not at all.

    Args:
        folder: of the set, with `index.json` and `manifest.parquet`.
        reader: opens the source's pictures, for thumbnails and for a look at their colours; None leaves these out.
        title: the page's heading, plain text.

    Raises:
        DataError: index or manifest is missing or damaged.
        StorageError: `folder` can't be written.
    """
    index = read_index(folder)
    rows = read_manifest(folder)
    gray = look_for_gray(reader, [row for row in rows if row.status == "used"]) if reader else NOT_LOOKED
    report = data_report(rows, index.labels, index.pixels, gray)
    page = data_page(report, reader, title)
    with storing(folder):
        write_atomic(folder / REPORT_JSON, json.dumps(report.to_json(), indent=1).encode())
        # A name with bytes that are no text stands in the page as a question mark.
        write_atomic(folder / REPORT, page.encode("utf-8", "replace"))
    return report
