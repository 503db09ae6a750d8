"""A CSV, TSV or JSON lines file that names pictures and their labels."""

import posixpath
from itertools import islice
from urllib.parse import unquote

from imgcls_ray.data.sources.addresses import ARROW_SCHEMES, Address
from imgcls_ray.data.sources.base import SourceItem
from imgcls_ray.data.sources.kinds import Listed, Rules, SourceKind, Words
from imgcls_ray.data.sources.places import Found, Place
from imgcls_ray.data.sources.remote import RemotePlace, TableReader, look_at
from imgcls_ray.data.sources.rows import SUFFIXES, Row, is_named, rows
from imgcls_ray.errors import DataError

_TRIED = 20
"""Pictures that are looked for in the folders beside a table."""
_WORDS = Words("the training rows", "", "add some or remove its rows", "The labels in")


class Tables(SourceKind):
    """Rows of path, label and, with a header, split and group. Relative paths begin at the table's folder."""

    def matches(self, place: Place) -> bool:
        return not place.is_folder and place.root.lower().endswith(SUFFIXES)

    def fits(self, place: Place) -> bool:
        """Whether its header names paths and labels, or, in the bare form, pictures lie where its first rows say."""
        folder = place.parent
        try:
            content = place.content()
            if is_named(content, place.root):
                return True
            tried = [row.path for row in islice(rows(content, place.root), _TRIED) if row.path]
        except DataError:
            return False
        below = ["", *(f"{name}/" for name in folder.folders())]
        return any(folder.has(start + path) for start in below for path in tried)

    def listed(self, place: Place, rules: Rules) -> Listed:
        first: dict[str, Row] = {}
        again: dict[str, list[Row]] = {}
        refusals: dict[str, str] = {}
        for row in rows(place.content(), place.root):
            path, refused = _path(row.path, place, rules)
            if not path:
                path, refused = f"{place.name}:{row.line}", "no path"
            if refused:
                refusals[path] = refused
            if first.setdefault(path, row) is not row:
                again.setdefault(path, []).append(row)
        if not first:
            raise DataError(f"A table needs a row for each picture; {place.root} has none.")
        address = place.address if isinstance(place, RemotePlace) else None
        folder = place.parent
        files = _files(folder, [path for path in first if path not in refusals], address, place.name)
        items = (
            _item(path, [row, *again.get(path, ())], refusals.get(path), files.get(path), rules)
            for path, row in first.items()
        )
        return Listed(items, TableReader(folder.reader, address), words=_WORDS)


def _item(path: str, said: list[Row], refused: str | None, file: Found | None, rules: Rules) -> SourceItem:
    """The picture at `path`, of which all these rows speak."""
    label, unsettled = rules.settle(label for row in said for label in row.labels)
    splits = list(dict.fromkeys(row.split for row in said if row.split))
    groups = list(dict.fromkeys(row.group for row in said if row.group))
    for what, found in (("splits", splits), ("groups", groups)):
        if len(found) > 1:
            unsettled = unsettled or f"several {what} ({', '.join(found)})"
    refused = refused or unsettled
    path, size, mtime_ns = file or (path, 0, 0)
    split, group = splits[0] if splits else None, groups[0] if groups else None
    return SourceItem(path, "" if refused else label, split, size, mtime_ns, group, refused)


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
