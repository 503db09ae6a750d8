"""A CSV, TSV or JSON lines file that names pictures and their labels."""

import posixpath
from dataclasses import dataclass, field, replace
from itertools import islice
from urllib.parse import unquote

from imgcls_ray.data.sources.addresses import ARROW_SCHEMES, Address
from imgcls_ray.data.sources.base import SourceItem, Split
from imgcls_ray.data.sources.kinds import Listed, Rules, SourceKind, Words
from imgcls_ray.data.sources.places import Found, Place
from imgcls_ray.data.sources.remote import RemotePlace, TableReader, look_at
from imgcls_ray.data.sources.rows import SUFFIXES, Row, rows
from imgcls_ray.errors import DataError

_TRIED = 20
"""Pictures that are looked for in the folders beside a table."""
_WORDS = Words("the training rows", "", "add some or remove its rows", "The labels in")


@dataclass
class _Picture:
    """All that the rows say of one picture, each once and in their order."""

    labels: dict[str, None] = field(default_factory=dict)
    splits: dict[Split, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    refused: str | None = None

    def add(self, row: Row) -> None:
        self.labels.update(dict.fromkeys(label for label in row.labels if label))
        if row.split:
            self.splits[row.split] = None
        if row.group:
            self.groups[row.group] = None

    def item(self, path: str, rules: Rules) -> SourceItem:
        label, refused = rules.settle(self.labels)
        for what, found in (("splits", self.splits), ("groups", self.groups)):
            if len(found) > 1:
                refused = refused or f"several {what} ({', '.join(found)})"
        refused = self.refused or refused
        split, group = next(iter(self.splits), None), next(iter(self.groups), None)
        return SourceItem(path, "" if refused else label, split, 0, 0, group, refused)


class Tables(SourceKind):
    """Rows of path, label and, with a header, split and group. Relative paths begin at the table's folder."""

    def matches(self, place: Place) -> bool:
        return not place.is_folder and place.root.lower().endswith(SUFFIXES)

    def listed(self, place: Place, rules: Rules) -> Listed:
        pictures: dict[str, _Picture] = {}
        for row in rows(place.content(), place.root):
            path, refused = _path(row.path, place, rules)
            picture = pictures.setdefault(path or f"{place.name}:{row.line}", _Picture(refused=refused))
            picture.add(row)
        if not pictures:
            raise DataError(f"A table needs a row for each picture; {place.root} has none.")
        items = [picture.item(path, rules) for path, picture in pictures.items()]
        openable = [path for path, picture in pictures.items() if not picture.refused]
        del pictures
        address = place.address if isinstance(place, RemotePlace) else None
        folder = place.parent
        files = _files(folder, openable, address, place.name)
        return Listed([_with_file(item, files) for item in items], TableReader(folder.reader, address), words=_WORDS)


def _path(path: str, table: Place, rules: Rules) -> tuple[str, str | None]:
    """The path in its plain form, and why it can't be followed."""
    if not path:
        return "", "no path"
    scheme, mark, rest = path.partition("://")
    if mark and scheme.lower() == "file":
        path, mark = unquote(rest), ""
    address = table.address if isinstance(table, RemotePlace) else None
    if mark:
        known = (*ARROW_SCHEMES, address.scheme if address else "")
        if rules.confined:
            return path, f"outside the archive ({path})"
        written = Address.parse(path)
        if written.credentials:  # the manifest would tell them
            return written.public, "an address with credentials"
        return path, None if scheme.lower() in known else f"unknown kind of address ({scheme})"
    if "\\" in path and "/" not in path:
        path = path.replace("\\", "/")  # written on Windows
    path = posixpath.normpath(path)
    outside = path.startswith(("/", "../")) or path == ".."
    if outside and rules.confined:
        return path, f"outside the archive ({path})"
    if outside and address:
        whole = posixpath.normpath(posixpath.join("/", address.bucket, address.parent.path, path))
        if path.startswith("/") or not whole.startswith(f"/{address.bucket}/"):
            return path, f"outside the bucket ({path})"
        return f"{address.scheme}:/{whole}", None
    return path, None


def _files(folder: Place, paths: list[str], address: Address | None, table: str) -> dict[str, Found]:
    """What lies under each path, by the path that the table has; what can't be found is left out."""
    uris = {path: address.beside(path) if address else Address.parse(path) for path in paths if "://" in path}
    found = look_at(uris) if uris else {}
    near = [path for path in paths if path not in uris]
    if near:
        here = {path: file for path, file in zip(near, folder.look(near), strict=True) if file}
        if not here:
            below = _folder_beside(folder, near, table)
            moved = (f"{below}/{path}" for path in near)
            here = {path: file for path, file in zip(near, folder.look(moved), strict=True) if file}
        found.update(here)
    return found


def _folder_beside(folder: Place, paths: list[str], table: str) -> str:
    """The only folder beside a table in which its pictures lie.

    Raises:
        DataError: none, or several.
    """
    tried = [path for path in islice(paths, _TRIED) if not path.startswith(("/", "../"))]
    having = [name for name in folder.folders() if any(folder.has(f"{name}/{path}") for path in tried)]
    if len(having) != 1:
        where = f"lies in {' and in '.join(having)}" if having else "is not there, nor in a folder beside the table"
        raise DataError(
            f"The paths of a table begin at its folder; '{paths[0]}' of {folder.root}/{table} {where}: "
            "mend the paths, or move the table to its pictures."
        )
    return having[0]


def _with_file(item: SourceItem, files: dict[str, Found]) -> SourceItem:
    file = files.get(item.path)
    return replace(item, path=file[0], bytes=file[1], mtime_ns=file[2]) if file else item
