"""What an earlier run left in a set's folder, and how much of it still holds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imgcls_ray.data.index import INDEX, Index, ShardEntry, read_index, shard_is_whole, verify
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow, read_manifest
from imgcls_ray.data.sources import Source, SourceItem, Split
from imgcls_ray.errors import DataError, StorageError

_TRANSIENT = ("can't be read", "changed while it was read", "too little memory")
"""Reasons that another look may not find again."""

_OURS = re.compile(
    r"\.work|\.unpacked|(train|val|test)-\d{5}\.\w+|manifest\.parquet|report\.\w+|\..+\.[0-9a-f]{8}\.tmp"
)
"""What may be there before the index is: work, what was unpacked, finished shards, what a killed writer left."""


@dataclass(frozen=True)
class Earlier:
    """An earlier state of the set; empty where there is none."""

    index: Index | None = None
    rows: Mapping[str, ManifestRow] = field(default_factory=dict)
    """By path."""

    @property
    def splits(self) -> dict[str, Split]:
        """sha256 -> split of the pictures that are used: they keep it."""
        return {r.sha256: r.split for r in self.rows.values() if r.status == "used" and r.sha256 and r.split}

    @property
    def taken(self) -> dict[Split, int]:
        """For each split, the first number that no shard has had."""
        taken: dict[Split, int] = {"train": 0, "val": 0, "test": 0}
        for entry in self.index.shards if self.index else ():
            taken[entry.split] = max(taken[entry.split], int(Path(entry.file).stem.rpartition("-")[2]) + 1)
        return taken

    def known(self, item: SourceItem) -> ManifestRow | None:
        """The row of a file that has not changed since, so that it need not be read again."""
        row = self.rows.get(item.path)
        if row is None or not item.mtime_ns or (row.bytes, row.mtime_ns) != (item.bytes, item.mtime_ns):
            return None
        if row.reason and row.reason.startswith(_TRANSIENT):
            return None
        if not row.label and not item.refused:  # it was left out by its source, and nobody has looked at it
            return None
        return row

    def covers(self, source: Source) -> bool:
        """Whether the source is just what it was: nothing new, nothing gone, nothing changed."""
        return (
            self.index is not None
            and self.index.labels == source.labels
            and len(self.rows) == len(source.items)
            and all(
                (row := self.known(item)) is not None
                and (row.label, row.given, row.given_group) == (item.label, item.split, item.group)
                for item in source.items
            )
        )

    def kept(self, folder: Path, rows: Sequence[ManifestRow], labels: Labels) -> dict[str, ShardEntry]:
        """The shards of which every picture is still used in the same class and split, by file; each is verified."""
        if self.index is None or self.index.labels != labels:
            return {}
        used = {(row.sha256, row.label, row.split) for row in rows if row.status == "used"}
        broken = {
            row.shard for row in self.rows.values() if row.shard and (row.sha256, row.label, row.split) not in used
        }
        entries = (entry for entry in self.index.shards if entry.file not in broken)
        return {entry.file: entry for entry in entries if shard_is_whole(folder, entry)}


def read_earlier(folder: Path, key: str) -> Earlier:
    """What is in `folder`.

    Raises:
        StorageError: it holds something else, or a set of other settings.
    """
    if not folder.exists():
        return Earlier()
    if not folder.is_dir():
        raise StorageError(f"The place for the shards must be a folder; {folder} is a file.")
    if not (folder / INDEX).exists():
        names = sorted(entry.name for entry in folder.iterdir())
        stranger = next((name for name in names if not _OURS.fullmatch(name)), None)
        if stranger:
            raise StorageError(
                f"The shards need a folder of their own; {folder} holds other files already, such as '{stranger}': "
                "choose another with --out."
            )
        return Earlier()
    try:
        index = read_index(folder)
        rows = read_manifest(folder)
    except DataError:  # damaged or of another version: made again
        return Earlier()
    if index.key != key:
        raise StorageError(
            f"A set of shards has one kind of settings; {folder} holds one that was made with others: choose another "
            "folder with --out, or the settings of before."
        )
    return Earlier(index, {row.path: row for row in rows})


def whole(folder: Path, earlier: Earlier) -> bool:
    """Whether every file of the set is the one that was written."""
    if earlier.index is None:
        return False
    try:
        verify(folder, earlier.index)
    except DataError:
        return False
    return True
