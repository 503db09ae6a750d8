"""A `.zip` or `.tar` file that holds any of the other forms: unpacked once, then listed like a folder."""

import hashlib
from dataclasses import replace
from pathlib import Path

from imgcls_ray.data.files import storing, temporary_beside
from imgcls_ray.data.held import Held, alone
from imgcls_ray.data.sources.hdf5 import SUFFIXES as ARRAYS
from imgcls_ray.data.sources.kinds import Listed, Rules, SourceKind
from imgcls_ray.data.sources.places import LocalPlace, Place
from imgcls_ray.data.sources.remote import RemotePlace, asked
from imgcls_ray.data.sources.rows import SUFFIXES as TABLES
from imgcls_ray.data.unpacking import SUFFIXES, check_room, remove_leftovers, unpack
from imgcls_ray.errors import DataError

_CHUNK = 8 * 2**20
_OF_COLLECT = {"attribution.csv", "collected.jsonl", "searches.jsonl"}
"""What `imgcls collect` writes beside its class folders: no tables of labels."""


class Archives(SourceKind):
    """Any form below, in an archive. A top folder that holds everything is looked through."""

    def __init__(self, forms: tuple[SourceKind, ...]) -> None:
        self._forms = forms

    def matches(self, place: Place) -> bool:
        return not place.is_folder and place.root.lower().endswith(SUFFIXES)

    def listed(self, place: Place, rules: Rules) -> Listed:
        if rules.unpack is None:
            raise DataError(f"An archive needs a place to be unpacked in; {place.root} has none here: unpack it first.")
        inner = Rules(rules.settings, rules.known, confined=True)
        folder, held = _unpacked(place, rules.unpack)
        found = self._form(LocalPlace(folder))
        if found is None:
            raise DataError(
                "An archive must hold one folder per class, or a table beside its pictures; "
                f"{place.root} holds no folders."
            )
        return replace(found[0].listed(found[1], inner), held=held)

    def _form(self, top: LocalPlace) -> tuple[SourceKind, LocalPlace] | None:
        """The form that the unpacked folder has, and where."""
        while True:
            for place in (*self._files(top), top):
                form = next((form for form in self._forms if form.matches(place)), None)
                if form and (place is not top or not _is_wrapper(top)):
                    return form, place
            if not _is_wrapper(top):
                return None
            top = top.below(top.folders()[0])

    def _files(self, top: LocalPlace) -> list[LocalPlace]:
        """The files that may be the data, rather than what lies beside them."""
        names = [name for name in top.names() if name.lower() not in _OF_COLLECT]
        tables = [top.below(name) for name in names if name.lower().endswith(TABLES)]
        # Of name-train.h5 and name-test.h5 the first one leads to the other.
        arrays = [top.below(name) for name in reversed(names) if name.lower().endswith(ARRAYS)]
        files = [*(tables if len(tables) == 1 else ()), *arrays]
        if not top.folders():  # nothing else can be meant
            return files
        return [file for file in files if any(form.matches(file) and form.fits(file) for form in self._forms)]


def _is_wrapper(place: LocalPlace) -> bool:
    """Whether a folder holds everything in one folder, which itself holds more than pictures."""
    folders = place.folders()
    if len(folders) != 1:
        return False
    inside = place.below(folders[0])
    return any(inside.folders()) or any(name.lower().endswith(TABLES) for name in inside.names())


def _unpacked(place: Place, folder: Path) -> tuple[Path, Held]:
    """The folder that the archive at `place` is unpacked in; it is whole, made if it is not there, and held."""
    size, mtime_ns = place.status()
    digest = hashlib.sha256(f"{place.root}\n{size}\n{mtime_ns}".encode("utf-8", "surrogateescape")).hexdigest()
    stem = next(place.name[: -len(end)] for end in SUFFIXES if place.name.lower().endswith(end))
    target = folder.expanduser().absolute() / f"{stem[:60].strip('. ') or 'archive'}-{digest[:12]}"
    with storing(folder):
        held = Held.find(target)
        while held is None:
            with alone(target.parent):
                if not target.is_dir():  # else another run, which was waited for, has the same archive
                    remove_leftovers(target.parent)
                    _unpack(place, target, size)
                held = Held.find(target)
    return target, held


def _unpack(place: Place, target: Path, size: int) -> None:
    if isinstance(place, LocalPlace):
        unpack(place.path, target, place.root)
    elif isinstance(place, RemotePlace):
        fetched = temporary_beside(target).with_suffix(
            next(end for end in SUFFIXES if place.name.lower().endswith(end))
        )
        check_room(target.parent, size)
        try:
            _fetch(place, fetched)
            unpack(fetched, target, place.root)
        finally:
            fetched.unlink(missing_ok=True)


def _fetch(place: RemotePlace, path: Path) -> None:
    with place.stream() as stream, path.open("wb") as file:
        while part := asked(lambda: stream.read(_CHUNK), place.address):
            file.write(part)
