"""An update that was begun: how far it is, kept in the folder of the study that it makes."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.manifest import MANIFEST, read_manifest
from imgcls_ray.errors import StorageError
from imgcls_ray.search.record import RECORD, RESULT, read_record
from imgcls_ray.storage import Storage, folder_name

UPDATE, BEFORE = "update.json", "before"
"""What an update is about and whether it is done; a folder with the manifest of the pictures of the study before."""


@dataclass(frozen=True)
class Pictures:
    """What became of the pictures since the study before, by their content."""

    new: int
    gone: int
    used: int

    def __str__(self) -> str:
        gone = f", {self.gone} gone" if self.gone else ""
        return f"{self.new} new picture{'' if self.new == 1 else 's'}{gone}, {self.used} in all"


@dataclass(frozen=True)
class Begun:
    """An update on its way."""

    folder: Path
    """Of its study."""
    data: str
    """The place of the pictures."""
    continued_from: str
    """The study before."""

    @property
    def searched(self) -> bool:
        """Whether its search is over and its model registered."""
        return (self.folder / RESULT).exists()

    def write(self, done: bool) -> None:
        """Keep it, whole or not at all."""
        document = {"data": self.data, "continued_from": self.continued_from, "done": done}
        write_atomic(self.folder / UPDATE, json.dumps(document, indent=1).encode())

    def forget(self) -> None:
        """It came to nothing: take away what `begin` made."""
        (self.folder / UPDATE).unlink()
        shutil.rmtree(self.folder / BEFORE, ignore_errors=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def pictures(self, current: Path) -> Pictures:
        """What is new in the preprocessed set in the folder `current`."""
        before, now = _used(self.folder / BEFORE), _used(current)
        return Pictures(len(now - before), len(before - now), len(now))


def begin(storage: Storage, name: str, data: str, continued_from: str, instead: Begun | None = None) -> Begun:
    """Begin an update of the pictures at `data`, called `name`, that goes on from a finished study.

    It may take the place of one that was cut off: what is new is then counted from where that one began.
    """
    study = f"{folder_name(name)}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    names = (study, *(f"{study}-{number}" for number in range(2, 1000)))
    begun = Begun(next(place for one in names if not (place := storage.study(one)).exists()), data, continued_from)
    kept = begun.folder / BEFORE / MANIFEST
    kept.parent.mkdir(parents=True)
    before = instead.folder / BEFORE if instead else Path(result_of(storage, continued_from)["data"])
    shutil.copyfile(before / MANIFEST, kept)
    begun.write(done=False)
    return begun


def unfinished(storage: Storage, data: str) -> Begun | None:
    """The update of the pictures at `data` that was begun last and not finished."""
    found = []
    for file in storage.studies.glob(f"*/{UPDATE}"):
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["data"] == data and not document["done"]:
            found.append((file.stat().st_mtime, Begun(file.parent, data, document["continued_from"])))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def newest_finished(storage: Storage, data: str) -> str:
    """The search on the pictures at `data` that ended last and has a result.

    Raises:
        StorageError: there is none.
    """
    found = []
    for file in storage.studies.glob(f"*/{RECORD}"):
        record, result = read_record(file.parent), file.parent / RESULT
        if record and record.data == data and result.exists() and record.parts.get("from_trial", "none") == "none":
            found.append((result.stat().st_mtime, file.parent.name))
    if not found:
        raise StorageError(
            f"An update goes on from a finished study of the same data; there is none of {data} in {storage.root}: "
            "begin with 'imgcls run', or name the storage that it went to with --storage."
        )
    return max(found)[1]


def result_of(storage: Storage, study: str) -> dict[str, Any]:
    """What `imgcls run --json` printed of a finished study.

    Raises:
        StorageError: it has no result.
    """
    file = storage.study(study) / RESULT
    if not file.exists():
        raise StorageError(f"An update goes on from a finished study; '{study}' in {storage.root} has no result.")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


@contextmanager
def sole_update(storage: Storage, data: str) -> Iterator[None]:
    """Keep other updates of the same pictures out for the block.

    Raises:
        StorageError: there is one.
    """
    name = f".update-{hashlib.sha256(data.encode()).hexdigest()[:12]}.lock"
    with (storage.studies / name).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(f"Another update of {data} runs in {storage.root}: wait for it.") from error
        yield


def _used(folder: Path) -> set[str]:
    """The sha256 of each picture in use, by the manifest in `folder`."""
    return {row.sha256 for row in read_manifest(folder) if row.status == "used" and row.sha256}
