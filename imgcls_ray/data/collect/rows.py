"""The CSV of what to collect: search terms with number, class and split, or the pictures' addresses themselves."""

from dataclasses import dataclass, replace
from pathlib import Path

from imgcls_ray.data.collect.base import Candidate, Row
from imgcls_ray.data.collect.table import Line, Table, read_table
from imgcls_ray.data.sources import SPLIT_NAMES, Split
from imgcls_ray.errors import DataError, nearest

COLUMNS = {
    "term": ("search_term", "searchterm", "search", "query", "keyword"),
    "number": ("number_imgs", "number_images", "num_imgs", "num", "count", "n"),
    "class": ("folder_name", "category", "class_name", "folder", "label"),
    "split": ("train_val", "set", "subset"),
    "url": ("image_url", "uri"),
    "page": ("source", "source_url", "source_page", "foreign_landing_url"),
    "license": ("licence",),
    "license_url": ("licence_url",),
    "creator": ("author", "artist"),
    "title": (),
}
"""What the columns mean, and the names they go by."""

MAX_NUMBER = 1_000_000

RowKey = tuple[str, str, Split | None]


@dataclass(frozen=True)
class Wanted:
    """What the CSV asks for: its rows, and the candidates of each where the CSV names addresses."""

    rows: tuple[Row, ...]
    """Each (term, class, split) once."""
    lists: dict[RowKey, tuple[Candidate, ...]] | None
    """The addresses of each row; None where the CSV has no column of them."""


def read_rows(path: Path) -> Wanted:
    """Read the CSV. Column names in any case: both forms of the earlier system, and `term, number, class, split`.

    With a column `url` each row is one picture, and `number` is not needed. Rows with the same term, class and split
    are added up. Splits are named in every row or in none.

    Raises:
        DataError: with the line that breaks a rule.
    """
    table = read_table(path, "The CSV", COLUMNS)
    wanted = ("url", "class") if "url" in table.columns else ("number", "class")
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise DataError(
            "The CSV's first line names the columns search_term, number, class and (optional) split, or url and class; "
            f"'{path}' has none for {' and '.join(missing)}."
        )
    _check_splits(table, path)
    rows: dict[RowKey, Row] = {}
    lists: dict[RowKey, dict[str, Candidate]] = {}
    for line in table.lines:
        row = _row(line, path, "url" in table.columns)
        if "url" in table.columns:
            listed = lists.setdefault(row.key, {})
            if line.get("url") in listed:
                continue
            listed[line.get("url")] = candidate_of(line, path)
        known = rows.get(row.key)
        rows[row.key] = replace(known, number=known.number + row.number) if known else row
    given = {key: tuple(found.values()) for key, found in lists.items()} if "url" in table.columns else None
    return Wanted(tuple(rows.values()), given)


def candidate_of(line: Line, path: Path) -> Candidate:
    """The picture that a line of a list names.

    Raises:
        DataError: the address is no http or https one.
    """
    url = line.get("url")
    if not url.lower().startswith(("http://", "https://")):
        raise DataError(f"An address begins with http:// or https://; line {line.number} of '{path}' has '{url}'.")
    return Candidate(
        url, line.get("page"), line.get("license"), line.get("license_url"), line.get("creator"), line.get("title")
    )


def _row(line: Line, path: Path, one: bool) -> Row:
    where = f"line {line.number} of '{path}'"
    label, number = line.get("class"), 1
    _check_label(label, where)
    split = SPLIT_NAMES.get(line.get("split").lower())
    if split is None and label.lower() in SPLIT_NAMES:
        raise DataError(f"A class has another name than a split while no splits are named; {where} has '{label}'.")
    if not one:
        text = line.get("number")
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
        if not 0 <= number <= MAX_NUMBER:
            raise DataError(f"A number of pictures is 0 to {MAX_NUMBER}; {where} has '{text}'.")
    return Row(line.number, line.get("term") or label, number, label, split)


def _check_label(label: str, where: str) -> None:
    rule = "A class names a folder: 1 to 100 characters, no / or \\, no dot at its start"
    if not label:
        raise DataError(f"{rule}; {where} has none.")
    if len(label.encode()) > 100 or not label.isprintable() or set(label) & set("/\\") or label.startswith("."):
        raise DataError(f"{rule}; {where} has '{label[:120]}'.")


def _check_splits(table: Table, path: Path) -> None:
    named = [line for line in table.lines if line.get("split")]
    for line in named:
        if line.get("split").lower() not in SPLIT_NAMES:
            tail = nearest(line.get("split").lower(), SPLIT_NAMES) or ": write one of these."
            raise DataError(
                f"A split is train, val or test; line {line.number} of '{path}' has '{line.get('split')}'{tail}"
            )
    if named and len(named) < len(table.lines):
        bare = next(line for line in table.lines if not line.get("split"))
        raise DataError(f"Splits are named in every row or in none; line {bare.number} of '{path}' has none.")
