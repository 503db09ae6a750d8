"""Reading a CSV as people have it: utf-8 or latin-1, commas, semicolons or tabs, column names in their own words."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.errors import DataError

MAX_BYTES = 64_000_000
"""Of a CSV or a list: more is another kind of file, given by mistake."""


@dataclass(frozen=True)
class Line:
    """One row: its line in the file and its values by the columns' own names, blanks around them taken off."""

    number: int
    values: Mapping[str, str]

    def get(self, column: str) -> str:
        """The value of a column; empty where the file has no such column."""
        return self.values.get(column, "")


@dataclass(frozen=True)
class Table:
    """A CSV's columns, by the names given in `read_table`, and its rows."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def read_text(path: Path, what: str) -> str:
    """A file's text as utf-8, else as latin-1, which fits any bytes: the earlier system's file is such a one.

    Raises:
        DataError: it can't be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{what} must be a file that can be read; received '{path}' ({error.strerror}).") from error
    if len(data) > MAX_BYTES or b"\0" in data:
        raise DataError(f"{what} must be a text of at most {MAX_BYTES // 10**6} MB; received '{path}'.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_table(path: Path, what: str, names: Mapping[str, tuple[str, ...]]) -> Table:
    """The rows of a CSV; columns that `names` does not know are left aside, empty rows too.

    Args:
        path: the file.
        what: how messages call it.
        names: each column with the names it goes by in files, in lower case with `_` for blanks.

    Raises:
        DataError: no text, no row, two columns that mean the same, a row longer than the first line, bad quoting.
    """
    text = read_text(path, what)
    head = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    columns: list[str | None] = []
    lines = []
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if not columns:
                columns = _columns(fields, names, path)
            elif any(field.strip() for field in fields[len(columns) :]):
                raise DataError(
                    f"Each row has as many fields as the first line; line {reader.line_num} of '{path}' has "
                    f"{len(fields)} instead of {len(columns)}: put quotes around a value that holds a comma."
                )
            else:
                values = {name: field.strip() for name, field in zip(columns, fields, strict=False) if name}
                lines.append(Line(reader.line_num, values))
    except csv.Error as error:
        raise DataError(f"{what} must be a CSV; line {reader.line_num} of '{path}' is none ({error}).") from error
    if not lines:
        raise DataError(f"{what} must have a line of column names and rows below it; '{path}' has no row.")
    return Table(tuple(column for column in columns if column), tuple(lines))


def _columns(fields: list[str], names: Mapping[str, tuple[str, ...]], path: Path) -> list[str | None]:
    known = {other: name for name, others in names.items() for other in (name, *others)}
    found = [known.get("_".join(field.lower().replace("-", " ").replace("_", " ").split())) for field in fields]
    for name in names:
        twice = [field.strip() for field, column in zip(fields, found, strict=True) if column == name]
        if len(twice) > 1:
            raise DataError(f"One column tells the {name}; '{path}' has {' and '.join(twice)}: rename or remove one.")
    return found
