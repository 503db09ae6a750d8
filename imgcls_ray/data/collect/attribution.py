"""Who made the pictures and how they may be used, in a table for people: what CC BY asks to be told."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from imgcls_ray.data.collect.record import Entry
from imgcls_ray.data.files import storage_error, write_atomic

ATTRIBUTION = "ATTRIBUTION.csv"
COLUMNS = ("file", "title", "creator", "source", "license", "license_url", "url", "credit")


def write_attribution(root: Path, entries: Iterable[Entry]) -> None:
    """Write `ATTRIBUTION.csv`, a row per picture: title, author, source, licence (Creative Commons' wiki, Recommended
    practices for attribution), and the four in one sentence (`credit`). Nothing is known where nothing is told.

    Raises:
        StorageError: it can't be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for entry in sorted(entries, key=lambda entry: entry.file):
        source = entry.page or entry.url
        table.writerow(
            (entry.file, entry.title, entry.creator, source, entry.license, entry.license_url, entry.url, credit(entry))
        )
    try:
        write_atomic(root / ATTRIBUTION, text.getvalue().encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise storage_error(root / ATTRIBUTION, error) from error


def credit(entry: Entry) -> str:
    """`"Title" by Creator, CC BY 2.0 (https://...), from https://...`; parts that nobody told are left out."""
    title = f'"{entry.title}"' if entry.title else "Picture"
    creator = f" by {entry.creator}" if entry.creator else ""
    url = f" ({entry.license_url})" if entry.license_url else ""
    license_ = f", {entry.license}{url}" if entry.license else ""
    return " ".join(f"{title}{creator}{license_}, from {entry.page or entry.url}".split())
