"""What a separated layout knows of itself: `split.json`, how it was made, and `manifest.parquet`, what became of what.

A row's `shard` is the place of its picture in the layout, `train/CLASS/file`. The rows are written before the pictures:
a place whose file is not there yet is work that is left.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from imgcls_ray.data.arrange.settings import ArrangeSettings
from imgcls_ray.data.earlier import Earlier
from imgcls_ray.data.files import write_atomic
from imgcls_ray.data.manifest import MANIFEST, ManifestRow, read_manifest, write_manifest
from imgcls_ray.data.sources import Split
from imgcls_ray.data.workplace import WORK
from imgcls_ray.errors import DataError, StorageError

RECORD = "split.json"
UNPACKED = ".unpacked"
"""Folder that an archive is unpacked into while the layout is made."""

_VERSION = 1
_BEFORE = {WORK, UNPACKED}
"""What may be there before the record is."""


@dataclass(frozen=True)
class Record:
    """An earlier state of the layout; empty where there is none."""

    root: str = ""
    """Of the data that it was made from last."""
    way: str = ""
    rows: tuple[ManifestRow, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def seen(self, root: str) -> Earlier:
        """The files that were looked at, where the data is still the same."""
        return Earlier(None, {row.path: row for row in self.rows} if root == self.root else {})

    @cached_property
    def placed(self) -> dict[str, ManifestRow]:
        """sha256 -> row of the pictures that have a place."""
        return {row.sha256: row for row in self.rows if row.shard and row.sha256}

    @property
    def splits(self) -> dict[str, Split]:
        """sha256 -> split of the pictures that have a place: they keep it."""
        return {sha256: row.split for sha256, row in self.placed.items() if row.split}

    @property
    def classes(self) -> set[str]:
        """Of the pictures that have a place."""
        return {row.label for row in self.rows if row.shard}


def read_record(folder: Path) -> Record:
    """What is in `folder`.

    Raises:
        StorageError: it holds something else.
        DataError: its record is damaged.
    """
    if not folder.exists():
        return Record()
    if not folder.is_dir():
        raise StorageError(f"The place for the pictures must be a folder; {folder} is a file.")
    file = folder / RECORD
    if not file.exists():
        names = sorted(entry.name for entry in folder.iterdir())
        stranger = next((name for name in names if name not in _BEFORE and not name.endswith(".tmp")), None)
        if stranger:
            raise StorageError(
                f"The split pictures need a folder of their own; {folder} holds other files already, such as "
                f"'{stranger}': choose another with --out."
            )
        return Record()
    try:
        document = json.loads(file.read_text())
        if document["version"] != _VERSION:
            raise ValueError(f"its version is {document['version']}, not {_VERSION}")
        rows = read_manifest(folder) if (folder / MANIFEST).exists() else []
        return Record(document["source"], document["way"], tuple(rows), document["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"A folder of split pictures needs its {RECORD}; the one in {folder} can't be used ({error}): put it back, "
            "or choose another folder with --out."
        ) from error


def check_settings(record: Record, settings: ArrangeSettings, folder: Path) -> None:
    """Refuse to mix two ways of splitting.

    Raises:
        StorageError: the layout was made with other settings.
    """
    now = _kept(settings)
    other = next((name for name, value in record.settings.items() if now.get(name) != value), None)
    if other:
        raise StorageError(
            f"A folder of split pictures has one kind of settings; {folder} was made with {other} "
            f"{record.settings[other]}, not {now.get(other)}: choose another folder with --out, or the settings of "
            "before."
        )


def write_record(folder: Path, root: str, way: str, settings: ArrangeSettings, rows: list[ManifestRow]) -> None:
    """Write both files; `split.json` first, so that the folder is known as ours.

    Raises:
        OSError: as the file system gives it.
    """
    document = {"version": _VERSION, "source": root, "way": way, "settings": _kept(settings)}
    write_atomic(folder / RECORD, (json.dumps(document, indent=2) + "\n").encode())
    write_manifest(folder, rows)


def _kept(settings: ArrangeSettings) -> dict[str, Any]:
    flat = settings.model_dump(mode="json", exclude={"max_bad_fraction", "source"})
    return flat | {"group_by": settings.source.group_by}
