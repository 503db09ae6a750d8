"""Pictures whose addresses the user brings."""

from collections.abc import Mapping
from pathlib import Path

from imgcls_ray.data.collect.base import Candidate, Page, Provider, Row
from imgcls_ray.data.collect.rows import COLUMNS, RowKey, candidate_of
from imgcls_ray.data.collect.table import Line, read_table, read_text
from imgcls_ray.errors import DataError


class UrlLists(Provider):
    """Lists of addresses: the CSV's own, else each search term is a file of them."""

    name = "urls"
    asks = False

    def __init__(self, lists: Mapping[RowKey, tuple[Candidate, ...]]) -> None:
        self._lists = dict(lists)

    @classmethod
    def of_files(cls, rows: tuple[Row, ...], folder: Path) -> "UrlLists":
        """Read the file that each row's search term names, relative to `folder`: all of them before anything is asked.

        Raises:
            DataError: there is no such file, or it is no list.
        """
        return cls({row.key: read_list(folder / row.term, row) for row in rows})

    def search(self, row: Row, number: int) -> Page:
        """See Provider: everything is on page 1."""
        return Page(self._lists.get(row.key, ()) if number == 1 else (), last=True)


def read_list(path: Path, row: Row) -> tuple[Candidate, ...]:
    """The addresses in a file: one a line (`#` begins a remark), or a CSV with the columns url, and if you have them
    page, license, license_url, creator and title. Each once, in the file's order.

    Raises:
        DataError: it can't be read, or a line is no address.
    """
    if not path.is_file():
        raise DataError(
            f"With --provider urls a search term is the path of a list of addresses; line {row.line} names '{path}', "
            "which is no file."
        )
    text = read_text(path, "The list")
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [Line(number, {"url": line}) for number, line in numbered if line and not line.startswith("#")]
    if lines and not lines[0].get("url").lower().startswith(("http://", "https://")):
        table = read_table(path, "The list", COLUMNS)
        if "url" not in table.columns:
            raise DataError(f"A list has one address a line, or is a CSV with a column url; '{path}' is neither.")
        lines = list(table.lines)
    found: dict[str, Candidate] = {}
    for line in lines:
        found.setdefault(line.get("url"), candidate_of(line, path))
    return tuple(found.values())
