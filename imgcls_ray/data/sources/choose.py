"""From what a user names to its pictures: the kind is chosen, its classes are checked."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources.archives import Archives
from imgcls_ray.data.sources.base import Source, SourceItem
from imgcls_ray.data.sources.folders import ClassFolders, SplitFolders
from imgcls_ray.data.sources.hdf5 import Hdf5
from imgcls_ray.data.sources.kinds import Listed, Rules, SourceKind
from imgcls_ray.data.sources.label_list import read_label_list
from imgcls_ray.data.sources.places import LocalPlace, Place
from imgcls_ray.data.sources.remote import RemotePlace
from imgcls_ray.data.sources.tables import Tables
from imgcls_ray.data.sources.tfrecords import TfRecords
from imgcls_ray.errors import DataError, SettingsError, ending

_FORMS: tuple[SourceKind, ...] = (Tables(), Hdf5(), SplitFolders(), TfRecords(), ClassFolders())
KINDS: tuple[SourceKind, ...] = (Archives(_FORMS), *_FORMS)
"""The first that matches is taken."""

_SUFFIX = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,8}$")


def list_source(
    data: str,
    settings: SourceSettings = SourceSettings(),  # noqa: B008 - it can't be changed
    labels: Labels | None = None,
    unpack: Path | None = None,
) -> Source:
    """List the pictures of a folder, table, archive or address.

    Hidden files, `Thumbs.db`, `desktop.ini` and files that are not below a class do not count.

    Args:
        data: a path, or a URI that pyarrow or fsspec can open.
        settings: the label list, what becomes of several labels, and groups by path.
        labels: of a trained model: the data is only measured. It may then hold a single class or picture, but no class
            unknown to the model.
        unpack: the folder that archives are unpacked in; on a cluster every node must see it.

    Raises:
        DataError: the data is missing, empty, can't be read, or breaks a rule about classes.
        SettingsError: `group_by` is no regular expression with a group.
        StorageError: an archive can't be unpacked for want of space or permission.
    """
    pattern = _pattern(settings.group_by)
    known = read_label_list(find_place(settings.labels)) if settings.labels else None
    place = find_place(data)
    listed = _kind(place).listed(place, Rules(settings, known, unpack))
    items = tuple(sorted(_grouped(listed.items, pattern), key=lambda item: item.path))
    if not items:
        raise DataError(
            f"The data folder needs one folder per class with pictures in it; those in {place.root} are empty."
        )
    if labels is None:
        _check_classes(place, listed, items, known)
        labels = known or listed.order or Labels.of(item.label for item in items if item.label)
    else:
        _check_known(place, listed, items, labels)
    return Source(_name(place), items, place.root, listed.reader, labels, listed.held)


def find_place(data: str) -> Place:
    """The file or folder that a user names.

    Raises:
        DataError: there is none, it can't be reached, or its kind is not known.
    """
    scheme, mark, rest = data.partition("://")
    if mark and scheme.lower() == "file":
        data, mark = unquote("/" + rest.partition("/")[2]), ""
    return RemotePlace.find(data) if mark else LocalPlace.find(data)


def check_source(data: str) -> None:
    """Tell of data that is not there, or of no kind that is known, without listing it.

    Raises:
        DataError: it says what is wrong.
    """
    place = find_place(data)
    if not place.is_folder:
        _kind(place)


def _kind(place: Place) -> SourceKind:
    kind = next((kind for kind in KINDS if kind.matches(place)), None)
    if kind:
        return kind
    if place.is_folder:
        raise DataError(
            f"The data folder needs one folder per class with pictures in it; {place.root} holds no folders."
        )
    raise DataError(
        "The data must be a folder that holds one folder per class, a table (.csv, .tsv, .jsonl), an archive (.zip, "
        f".tar, .tar.gz, .tgz) or an HDF5 file (.h5); {place.root} is a file of another kind."
    )


def _name(place: Place) -> str:
    name = place.name if place.is_folder else _SUFFIX.sub("", place.name)
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).strip("-.") or "data"


def _pattern(group_by: str | None) -> re.Pattern[str] | None:
    if group_by is None:
        return None
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise SettingsError(
            f"`group_by` must be a regular expression; received '{group_by}', which is none: {error}."
        ) from error
    if not pattern.groups:
        raise SettingsError(
            "`group_by` must have a group in parentheses, whose text names the pictures that stay together; received "
            f"'{group_by}': write for instance '(patient[0-9]+)'."
        )
    return pattern


def _grouped(items: Iterable[SourceItem], pattern: re.Pattern[str] | None) -> Iterable[SourceItem]:
    for item in items:
        found = pattern.search(item.path) if pattern and item.group is None else None
        yield replace(item, group=found[1]) if found and found[1] else item


def _check_known(place: Place, listed: Listed, items: tuple[SourceItem, ...], labels: Labels) -> None:
    unknown = sorted({item.label for item in items if not item.refused} - set(labels.names))
    if unknown:
        raise DataError(
            f"{listed.words.classes} {place.root} must be classes of the model ({', '.join(labels.names)}); "
            f"received '{unknown[0]}'{ending(unknown[0], labels.names)}"
        )


def _check_classes(place: Place, listed: Listed, items: tuple[SourceItem, ...], known: Labels | None) -> None:
    words = listed.words
    usable = [item for item in items if not item.refused]
    counts = Counter(item.label for item in usable)
    trained = {item.label for item in usable if item.split in (None, "train")}
    untrained = [item for item in usable if item.label not in trained]
    if untrained:
        first = untrained[0]
        raise DataError(
            f"Each class needs pictures in {words.place}; '{first.label}' stands only in "
            f"{PurePosixPath(first.path).parts[0]} of {place.root}: add some, or remove it there."
        )
    # An empty class folder lists no items, but was surely meant to hold some; so was a line of the label list.
    counts.update(dict.fromkeys(known.names if known else listed.classes, 0))
    if len(counts) < 2:
        having = f"one, '{next(iter(counts))}'" if counts else "none"
        raise DataError(f"At least 2 classes are needed{words.each}; {place.root} holds {having}{listed.hint}.")
    name, count = min(counts.items(), key=lambda pair: pair[1])
    if count < 2:
        mend = "add some or remove it from the list" if known else words.mend
        raise DataError(f"Each class needs at least 2 pictures; '{name}' in {place.root} has {count}: {mend}.")
