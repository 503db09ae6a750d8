"""The rows of a table: CSV, TSV or JSON lines, with a header or in the bare form `uri,label[,label...]`."""

import csv
import io
import json
from collections.abc import Iterator
from typing import NamedTuple

from imgcls_ray.data.sources.base import Split
from imgcls_ray.data.sources.kinds import SPLIT_NAMES
from imgcls_ray.errors import DataError, ending

JSON_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", *JSON_SUFFIXES)

_COLUMNS = {
    "path": ("uri", "path", "image", "image_uri", "file", "filename"),
    "label": ("label", "class", "category"),
    "split": ("split", "set", "train_val"),
    "group": ("group",),
}
"""Our name of a column -> what it may be called, the first that is there counts."""


class Row(NamedTuple):
    """What one line says."""

    line: int
    path: str
    labels: tuple[str, ...]
    split: Split | None = None
    group: str | None = None


def rows(content: bytes, name: str) -> Iterator[Row]:
    """The rows of a table whose file is called `name`. Lines without anything in them are skipped.

    Raises:
        DataError: it is no text, has no usable header, or a line can't be understood.
    """
    text = decoded(content, name)
    if name.lower().endswith(JSON_SUFFIXES):
        yield from _json(text, name)
    else:
        yield from _separated(text, name)


def is_named(content: bytes, name: str) -> bool:
    """Whether the table has a header, or keys, for both paths and labels.

    Raises:
        DataError: it is no text, names only one of the two, or its first line can't be understood.
    """
    text = decoded(content, name)
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    if name.lower().endswith(JSON_SUFFIXES):
        row = next(_json(first, name), None)
        return bool(row and row.path and any(row.labels))
    cells = next(csv.reader([first], delimiter=_delimiter(first, name)), [])
    return _header([cell.strip().lower() for cell in cells], name) is not None


def decoded(content: bytes, name: str) -> str:
    """UTF-8 with or without its mark, else Latin-1.

    Raises:
        DataError: it is no text.
    """
    if b"\0" in content:
        raise DataError(f"A table or label list must be text in UTF-8 or Latin-1; {name} holds zero bytes: save it so.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _separated(text: str, name: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, name))
    try:
        header: dict[str, int] | None = None
        first = True
        for cells in lines:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if first:
                first = False
                header = _header([cell.lower() for cell in cells], name)
                if header:
                    continue
            if header is None:
                yield Row(lines.line_num, cells[0], tuple(cells[1:]))
            else:
                found = {key: cells[place] for key, place in header.items() if place < len(cells)}
                yield _row(lines.line_num, found, (found.get("label", ""),), name)
    except csv.Error as error:
        raise DataError(f"A table must be rows of fields; line {lines.line_num} of {name} is not: {error}.") from error


def _delimiter(text: str, name: str) -> str:
    if name.lower().endswith(".tsv"):
        return "\t"
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    return next((mark for mark in ",;\t" if mark in first), ",")


def _header(cells: list[str], name: str) -> dict[str, int] | None:
    """The place of each column that is known; None in the bare form."""
    found = {}
    for key, names in _COLUMNS.items():
        place = next((cells.index(name) for name in names if name in cells), None)
        if place is not None:
            found[key] = place
    if "path" not in found:
        if "label" in found:
            raise DataError(
                f"A table with a header needs a column with the pictures' paths ({', '.join(_COLUMNS['path'])}); "
                f"{name} has {', '.join(cells)}."
            )
        return None
    if "label" not in found:
        raise DataError(
            f"A table with a header needs a column with the labels ({', '.join(_COLUMNS['label'])}); "
            f"{name} has {', '.join(cells)}."
        )
    return found


def _json(text: str, name: str) -> Iterator[Row]:
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise DataError(f"Each line of a JSON lines file must be an object; line {number} of {name} is none.")
        lowered = {str(key).lower(): value for key, value in document.items()}
        found = {}
        for key, names in _COLUMNS.items():
            found[key] = next((lowered[name] for name in names if lowered.get(name) is not None), None)
        labels = found.pop("label")
        labels = labels if isinstance(labels, list) else [labels]
        values = {key: _text(value, number, name) for key, value in found.items()}
        yield _row(number, values, tuple(_text(label, number, name) for label in labels), name)


def _text(value: object, number: int, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list | float | bool):
        raise DataError(f"Paths, labels, splits and groups are texts; line {number} of {name} has {value!r}.")
    text = str(value).strip()
    if "\0" in text or not _is_whole(text):
        raise DataError(f"Texts are made of whole characters, none of them NUL; line {number} of {name} has {text!r}.")
    return text


def _is_whole(text: str) -> bool:
    """Whether it can be written as UTF-8; JSON can hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _row(number: int, values: dict[str, str], labels: tuple[str, ...], name: str) -> Row:
    split = values.get("split", "")
    if split and split.lower() not in SPLIT_NAMES:
        raise DataError(
            f"A split is one of {', '.join(SPLIT_NAMES)}; line {number} of {name} has '{split}'"
            f"{ending(split.lower(), SPLIT_NAMES)}"
        )
    return Row(number, values.get("path", ""), labels, SPLIT_NAMES.get(split.lower()), values.get("group") or None)
