"""From pictures anywhere to a separated layout: looked at once, settled as preprocess does, put in their places."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from imgcls_ray.data import plan
from imgcls_ray.data.arrange.places import check_class, with_places
from imgcls_ray.data.arrange.placing import Mover
from imgcls_ray.data.arrange.record import UNPACKED, Record, check_settings, read_record, write_record
from imgcls_ray.data.arrange.settings import ArrangeSettings, Way
from imgcls_ray.data.files import storing
from imgcls_ray.data.held import discard
from imgcls_ray.data.hygiene import settle
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import Counts, ManifestRow, cause, count
from imgcls_ray.data.rows import found_row, renewed_row
from imgcls_ray.data.scan import Recipe, scan
from imgcls_ray.data.sources import SPLITS, LocalReader, Source, SourceItem, Split, list_source
from imgcls_ray.data.spool import Scanned
from imgcls_ray.data.workplace import workplace
from imgcls_ray.errors import DataError, SettingsError, StorageError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Arranged:
    """A separated layout on disk."""

    path: Path
    rows: tuple[ManifestRow, ...]
    """One per file of the data, and one per picture in the layout that the data does not hold (any more)."""
    counts: Counts
    """Of the data's files."""
    placed: int
    """Pictures that this call put in their places."""
    kept: int
    """Pictures of earlier runs that the data does not hold any more: they stay."""
    removed: int
    """Pictures of earlier runs that lost their place, as the data now says otherwise of them."""
    way: Way
    seconds: float

    @property
    def splits(self) -> dict[Split, dict[str, int]]:
        """Pictures of each class by split."""
        counts = Counter((row.split, row.label) for row in self.rows if row.shard)
        names = sorted({row.label for row in self.rows if row.shard})
        return {split: {name: counts[split, name] for name in names} for split in SPLITS}

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls split --json` prints."""
        return {
            "images": asdict(self.counts),
            "rejected": plan.causes(self.rows),
            "splits": {split: sum(counts.values()) for split, counts in self.splits.items()},
            "classes": self.splits,
            "placed": self.placed,
            "kept": self.kept,
            "removed": self.removed,
            "way": self.way,
            "seconds": round(self.seconds, 3),
            "out": str(self.path),
        }


def list_pictures(data: str, out: Path, settings: ArrangeSettings, way: Way) -> Source:
    """The pictures of `data`, for a layout in `out`; all is refused here that can be without Ray.

    Raises:
        DataError: the data is missing or breaks a rule.
        SettingsError: the pictures can't be moved or linked.
        StorageError: `out` holds something else, or lies inside the data.
    """
    record = read_record(out)
    check_settings(record, settings, out)
    source = None
    if record.classes:
        # One new picture of a known class is enough. If there is a new class, the usual rules hold.
        with suppress(DataError):
            source = list_source(data, settings.source, Labels.of(record.classes), unpack=out / UNPACKED)
    source = source or list_source(data, settings.source, unpack=out / UNPACKED)
    if out.is_relative_to(source.root):
        raise StorageError(
            f"The split pictures can't lie inside the data folder, where they would count as data; {out} is inside "
            f"{source.root}: choose another place."
        )
    reader = source.reader
    files = isinstance(reader, LocalReader) and not Path(reader.root).is_relative_to(out)
    if way == "link" and not files:
        raise SettingsError(f"Only pictures that are files of their own can be linked; those in {source.root} are not.")
    if way == "move" and not (files and Path(source.root).is_dir()):
        raise SettingsError(
            f"Only pictures in folders can be moved; {source.root} would name or hold some that are gone: copy them."
        )
    return source


def arrange(
    source: Source, folder: Path, settings: ArrangeSettings, way: Way = "copy", progress: Progress | None = None
) -> Arranged:
    """Make `folder` the separated layout of `source`, or bring it up to date: `train|val|test/CLASS/file`.

    Ray must be initialised; the files are read on its nodes, and put in their places by this process. Pictures keep
    their split and their place for good; what has a place is not read again. After a kill the next run goes on.
    Nothing is put in its place before all is settled. `progress(done, total)` counts files: half each when looked at
    and when placed.

    Raises:
        DataError: the data breaks a rule; the folder stays as it was.
        StorageError: `folder` can't be written, is full, or holds something else.
    """
    started = time.perf_counter()
    for name in source.labels.names:
        check_class(name)
    with workplace(folder) as work:
        record = read_record(folder)
        try:
            check_settings(record, settings, folder)  # again: they may be those of a run that was waited for
        except StorageError:
            _discard(source, folder)
            raise
        arranged = _Job(source, folder, work, settings, way, record, progress).run()
        _discard(source, folder)
    return replace(arranged, seconds=time.perf_counter() - started)


def _discard(source: Source, folder: Path) -> None:
    """Take away what was unpacked for `source` alone."""
    if source.held:
        source.held.release()
    with storing(folder):
        discard(folder / UNPACKED)


@dataclass
class _Job:
    source: Source
    folder: Path
    work: Path
    settings: ArrangeSettings
    way: Way
    record: Record
    progress: Progress | None
    _halves: int = 0

    def run(self) -> Arranged:
        source, placed = self.source, self.record.placed
        rows, here = self._looked_at()
        with storing(self.folder):
            self._unlink_changed(here)
        gone = [row for sha256, row in placed.items() if sha256 not in here and self._stands(row)]
        rows = settle([*rows, *map(_unsettled, gone)], self.settings.as_preprocess(), self.record.splits)
        self._check(rows)
        rows = with_places(rows, placed, self.folder, isinstance(source.reader, LocalReader))
        counts = count(rows[: len(source.items)])
        with storing(self.folder):
            removed = self._removed(rows)
            write_record(self.folder, source.root, self.way, self.settings, rows)
            todo = [
                number
                for number, row in enumerate(rows[: len(source.items)])
                if row.shard and (self.way == "move" or not self._stands(row))
            ]
            self._advance(len(source.items) - len(todo))
            failed = self._place(rows, todo)
            if failed:
                write_record(self.folder, source.root, self.way, self.settings, rows)
                counts = count(rows[: len(source.items)])
        new = len(todo) - failed
        return Arranged(self.folder, tuple(rows), counts, new, len(gone), removed, self.way, 0)

    def _looked_at(self) -> tuple[list[ManifestRow], set[str]]:
        """The rows of the data's files before anything is settled, and the sha256 of all pictures among them."""
        source, settings = self.source, self.settings.as_preprocess()
        seen = self.record.seen(source.root)
        rows, new = [], list[SourceItem]()
        for item in source.items:
            row = seen.known(item)
            if row is None and not item.refused:
                new.append(item)
            rows.append(renewed_row(row, item))
        self._advance(len(rows) - len(new))
        found: dict[str, Scanned] = {}
        bad: Counter[str] = Counter()
        recipe = Recipe(plan.pixel_ops(settings), settings.near_duplicates, pixels=False)
        with storing(self.folder), closing(scan(new, source.reader, recipe, self.work)) as blocks:
            for block in blocks:
                found |= {one.path: one for one in block}
                bad.update(cause(one.reason) for one in block if one.reason)
                self._advance(len(block))
        plan.check_bad(bad, len(source.items), source.root, settings)
        rows = [self._copied(found_row(row, found.get(row.path))) for row in rows]
        return rows, {row.sha256 for row in rows if row.status == "used" and row.sha256}

    def _copied(self, row: ManifestRow) -> ManifestRow:
        """When pictures are moved, a further copy of one that was moved before is a duplicate, and stays."""
        before = self.record.placed.get(row.sha256 or "") if self.way == "move" and row.status == "used" else None
        if before is None or before.label != row.label or before.path == row.path or not self._stands(before):
            return row
        return replace(row, status="duplicate", reason=f"same picture as {before.shard}")

    def _check(self, rows: Sequence[ManifestRow]) -> None:
        labels = Labels.of([*self.source.labels.names, *(row.label for row in rows if row.label)])
        used = [row for row in rows if row.status == "used"]
        if not self.settings.test_fraction and not any(row.split == "test" for row in used):
            # No test is wanted, so a picture stands in for it where all three are looked for.
            rows = [*rows, *(replace(row, split="test") for row in used[:1])]
        plan.check_counts(rows, labels, self.source.root)

    def _stands(self, row: ManifestRow) -> bool:
        """Whether the picture of `row` is in its place: a file of its size, where a file was its source."""
        try:
            size = (self.folder / (row.shard or "")).stat().st_size
        except OSError:
            return False
        return size == row.bytes or (size > 0 and (not row.bytes or "#" in row.path))

    def _unlink_changed(self, here: Collection[str]) -> None:
        """Take away links to files that were written over since: they show another picture than the record says."""
        reader = self.source.reader
        for sha256, row in self.record.placed.items():
            place = self.folder / (row.shard or "")
            source = Path(reader.root, row.path) if isinstance(reader, LocalReader) else None
            if sha256 not in here and source and source.exists() and place.exists() and place.samefile(source):
                place.unlink()

    def _removed(self, rows: Sequence[ManifestRow]) -> int:
        """Take away what stands where it should not: the data, which holds it, says otherwise now."""
        now = {row.shard for row in rows if row.shard}
        known = {row.sha256 for row in rows}
        stale = [row for row in self.record.rows if row.shard and row.shard not in now and row.sha256 in known]
        stale = [row for row in stale if self._stands(row)]
        for row in stale:
            (self.folder / str(row.shard)).unlink()
        return len(stale)

    def _place(self, rows: list[ManifestRow], todo: Sequence[int]) -> int:
        """Bring the pictures at `todo` to their places; returns the number of those that can't be, marked in `rows`."""
        for number in todo:
            target = self.folder / (rows[number].shard or "")
            if self.way != "move" or (target.is_file() and not self._stands(rows[number])):
                target.unlink(missing_ok=True)  # cut off by a crash of the machine, or a link to nowhere
        mover = Mover(self.source.reader, self.folder, self.work, self.way)
        failed = 0
        for number, (row, reason) in zip(todo, mover.place_all([rows[n] for n in todo]), strict=True):
            if reason:
                failed += 1
                rows[number] = replace(
                    row, status="rejected", reason=reason, sha256=None, shard=None, split=None, decoded=False
                )
            self._advance(1)
        return failed

    def _advance(self, files: int) -> None:
        total = len(self.source.items)
        self._halves = min(self._halves + files, 2 * total)
        if self.progress:
            self.progress(self._halves // 2, total)


def _unsettled(row: ManifestRow) -> ManifestRow:
    """The row of a picture that only the layout holds now, as its source once gave it."""
    return replace(row, status="used", split=row.given, group=row.given_group, reason=None)
