"""From pictures to shards, manifest and index: decoded once, never lost, never done twice."""

import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data import plan
from imgcls_ray.data.earlier import Earlier, read_earlier, whole
from imgcls_ray.data.files import force, storage_error, storing
from imgcls_ray.data.hygiene import settle
from imgcls_ray.data.index import FORMAT_VERSION, Index, ShardEntry, read_index, verify, write_index
from imgcls_ray.data.manifest import Counts, ManifestRow, cause, count, read_manifest, write_manifest
from imgcls_ray.data.pixels import DECODER_VERSION
from imgcls_ray.data.rows import compared_row, found_row, renewed_row
from imgcls_ray.data.scan import Recipe, scan
from imgcls_ray.data.shards import shard_format
from imgcls_ray.data.sources import Source, SourceItem
from imgcls_ray.data.spool import Scanned, elsewhere
from imgcls_ray.data.tasks import map_blocks
from imgcls_ray.data.workplace import workplace
from imgcls_ray.data.writer import ShardKind, block_of, finished, note_replaced, noted, write_block
from imgcls_ray.errors import StorageError
from imgcls_ray.garbage import uncollected

Progress = Callable[[int, int], None]
_FORCING = 2
"""Files forced to the disk at once, while others are written."""


@dataclass(frozen=True)
class Preprocessed:
    """A preprocessed set on disk."""

    path: Path
    index: Index
    counts: Counts
    causes: dict[str, int]
    """Rejected files by cause, the most common first."""
    decoded: int = 0
    """Files that this call read and decoded."""
    seconds: float = 0
    """From the call to the last verified shard; Ray was up."""

    @property
    def reused(self) -> bool:
        """Whether it was there already, so that nothing was decoded."""
        return self.decoded == 0


def set_folder(out: Path, source: Source, settings: PreprocessSettings) -> Path:
    """Where the main job keeps the set of `source`: `out/<name>-<digest of place, classes, settings and versions>`."""
    document = json.dumps([key_of(settings), source.root, source.labels.sha256])
    return out / f"{source.name}-{hashlib.sha256(document.encode()).hexdigest()[:12]}"


def key_of(settings: PreprocessSettings) -> str:
    """Hex sha256 of the settings and the versions of what reads them."""
    document = [FORMAT_VERSION, DECODER_VERSION, settings.model_dump(mode="json", exclude={"max_bad_fraction"})]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def preprocess(
    source: Source, folder: Path, settings: PreprocessSettings, progress: Progress | None = None
) -> Preprocessed:
    """Make `folder` the preprocessed set of `source`, or bring it up to date, or find it so.

    Ray must be initialised, and every node sees `folder`. Only files that are new or changed since the last run are
    read; their pictures go into new shards, and the others keep their shard and their split. After a kill the next run
    goes on: what was scanned is not scanned again, what was written is not written again. On disk it takes twice the
    size of the shards while it works. `progress(done, total)` counts files: half each when scanned and when written.

    Raises:
        DataError: the data breaks a rule; an earlier state of the set stays as it was.
        StorageError: `folder` can't be written, is full, or holds something else.
    """
    started = time.perf_counter()
    folder = Path(folder).expanduser().resolve()
    if folder.is_relative_to(source.root):
        raise StorageError(
            f"The shards can't lie inside the data folder, where they would count as data; {folder} is inside "
            f"{source.root}: choose another place."
        )
    key = key_of(settings)
    read_earlier(folder, key)  # before anything is made
    with workplace(folder) as work:
        earlier = read_earlier(folder, key)
        if earlier.index and earlier.covers(source) and whole(folder, earlier):
            rows = list(earlier.rows.values())
            index, decoded = earlier.index, 0
        else:
            job = _Job(source, folder, work, settings, earlier, _Progress(progress, len(source.items)))
            with uncollected():
                rows, index, decoded = job.run()
        with storing(folder):
            _tidy(folder, work, index)
    return Preprocessed(folder, index, count(rows), plan.causes(rows), decoded, time.perf_counter() - started)


def open_preprocessed(path: Path) -> Preprocessed:
    """Open a preprocessed set; every file is checked against its sha256.

    Raises:
        DataError: it is missing, damaged, or written by another version.
    """
    path = Path(path)
    index = read_index(path)
    verify(path, index)
    rows = read_manifest(path)
    return Preprocessed(path, index, count(rows), plan.causes(rows))


class _Progress:
    """Files scanned and written, told as one number that ends at the number of files."""

    def __init__(self, tell: Progress | None, total: int) -> None:
        self._tell, self._total = tell, total
        self._halves = 0

    def advance(self, files: int) -> None:
        self._halves = min(self._halves + files, 2 * self._total)
        if self._tell:
            self._tell(self._halves // 2, self._total)


@dataclass
class _Job:
    source: Source
    folder: Path
    work: Path
    settings: PreprocessSettings
    earlier: Earlier
    progress: _Progress

    def run(self) -> tuple[list[ManifestRow], Index, int]:
        """Scan, settle, write. The index is written last, so that readers see the earlier state until then."""
        source, settings, labels = self.source, self.settings, self.source.labels
        rows: list[ManifestRow] = []
        new: list[SourceItem] = []
        for item in source.items:
            row = self.earlier.known(item)
            if row is None and not item.refused:
                new.append(item)
            rows.append(renewed_row(row, item))
        self.progress.advance(len(rows) - len(new))
        scanned = self._scanned(new)
        rows = [found_row(row, scanned.get(row.path)) for row in rows]
        rows = settle(rows, settings, self.earlier.splits)
        plan.check_counts(rows, labels, source.root)

        kept = self.earlier.kept(self.folder, rows, labels)
        places = {
            row.sha256: (row.shard, row.row) for row in self.earlier.rows.values() if row.shard in kept and row.sha256
        }
        wanted = [n for n, row in enumerate(rows) if row.status == "used" and row.sha256 not in places]
        # Pictures that are known, but whose shard does not hold any more: their pixels are needed once more.
        items = {item.path: item for item in source.items}
        again = [items[rows[n].path] for n in wanted if rows[n].path not in scanned]
        if again:
            scanned |= self._scanned(again)
            rows = [compared_row(row, scanned.get(row.path)) for row in rows]
            wanted = [n for n in wanted if rows[n].status == "used"]
            plan.check_counts(rows, labels, source.root)
        rows = [
            replace(row, shard=places[row.sha256][0], row=places[row.sha256][1])
            if row.status == "used" and row.sha256 in places
            else row
            for row in rows
        ]
        self.progress.advance(len(rows) - len(wanted))
        rows, written = self._written(rows, wanted, scanned)
        entries = tuple(sorted((*kept.values(), *written), key=lambda entry: entry.file))
        with storing(self.folder):
            index = Index(
                labels=labels,
                pixels=plan.pixel_ops(settings),
                format=settings.format,
                encoding=settings.encoding,
                key=key_of(settings),
                fingerprint=_fingerprint(rows, key_of(settings), labels.sha256),
                name=source.name,
                shards=entries,
                class_counts=plan.class_counts(rows, labels),
                manifest_sha256=write_manifest(self.folder, rows),
            )
            for file in {entry.file for entry in self.earlier.index.shards} - set(kept) if self.earlier.index else ():
                note_replaced(self.work, Path(file).stem)
            write_index(self.folder, index)
        return rows, index, len(new) + len(again)

    def _scanned(self, items: Sequence[SourceItem]) -> dict[str, Scanned]:
        recipe = Recipe(plan.pixel_ops(self.settings), self.settings.near_duplicates)
        found: dict[str, Scanned] = {}
        bad: Counter[str] = Counter()
        with storing(self.folder), closing(scan(items, self.source.reader, recipe, self.work)) as blocks:
            for block in blocks:
                found |= {one.path: one for one in block}
                bad.update(cause(one.reason) for one in block if one.reason)
                plan.check_bad(bad, len(self.source.items), self.source.root, self.settings)
                self.progress.advance(len(block))
        return found

    def _written(
        self, rows: list[ManifestRow], wanted: Sequence[int], scanned: dict[str, Scanned]
    ) -> tuple[list[ManifestRow], list[ShardEntry]]:
        """Write the shards of the pictures at `wanted`; returns the rows with their places, and the entries."""
        labels, settings = self.source.labels, self.settings
        kind = ShardKind(plan.pixel_ops(settings), labels, settings.format, settings.encoding)
        plans = {p.stem: p for p in plan.plan_shards(rows, wanted, labels, settings, self.earlier.taken)}
        blocks = {}
        for shard in plans.values():
            found = [(rows[n], scanned[rows[n].path]) for n in shard.rows]
            blocks[shard.stem] = block_of(
                shard.stem,
                [(row.path, labels.index(row.label), row.sha256 or "", one.block, one.row or 0) for row, one in found],
            )
        result = list(rows)
        entries: list[ShardEntry] = []

        def add(stem: str, check: bool) -> bool:
            done = finished(blocks[stem], kind, self.folder, self.work, check)
            if done is None:
                return False
            file = stem + kind.suffix
            entries.append(ShardEntry(file, plans[stem].split, len(plans[stem].rows), done.bytes, done.sha256))
            for place, n in enumerate(plans[stem].rows):
                result[n] = replace(rows[n], shard=file, row=place)
            self.progress.advance(len(plans[stem].rows))
            return True

        missing = [block for stem, block in blocks.items() if not add(stem, True)]
        there = [entry.file for entry in entries]  # of a run that was killed, maybe before they were on the disk
        with storing(self.folder), ThreadPoolExecutor(_FORCING) as pool:
            files = itertools.chain(there, self._write(missing, kind, add))
            for forced in [pool.submit(force, self.folder / file) for file in files]:
                forced.result()
        return result, entries

    def _write(self, blocks: Sequence[pa.Table], kind: ShardKind, add: Callable[[str, bool], bool]) -> Iterator[str]:
        """Write shards on the cluster; yields the name of each file as it comes."""
        arguments = {"kind": kind, "folder": str(self.folder), "work": str(self.work)}
        for table in map_blocks(blocks, write_block, arguments) if blocks else ():
            for done in table.to_pylist():
                if done["error"]:
                    raise storage_error(self.folder, OSError(done["errno"], done["error"]))
                if not add(done["stem"], False):
                    raise elsewhere(self.folder)
                yield done["stem"] + kind.suffix


def _tidy(folder: Path, work: Path, index: Index) -> None:
    """Remove shards that were noted here and are in no index (any more), so that a listing of the folder is true."""
    now = {entry.file for entry in index.shards}
    suffix = shard_format(index.format).suffix
    for file in {stem + suffix for stem in noted(work)} - now:
        (folder / file).unlink(missing_ok=True)


def _fingerprint(rows: Sequence[ManifestRow], key: str, labels: str) -> str:
    used = sorted((row.sha256 or "", row.label, row.split or "") for row in rows if row.status == "used")
    return hashlib.sha256(json.dumps([key, labels, used]).encode()).hexdigest()
