"""From a folder of pictures to shards, manifest and index: decoded once, found again by fingerprint."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data import plan
from imgcls_ray.data.files import storage_error, storing
from imgcls_ray.data.index import FORMAT_VERSION, Index, ShardEntry, read_index, verify, write_index
from imgcls_ray.data.inspection import inspect_block, to_row
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import Counts, ManifestRow, count, read_manifest, write_manifest
from imgcls_ray.data.pixels import DECODER_VERSION
from imgcls_ray.data.shards import shard_format
from imgcls_ray.data.sources import Source, list_source
from imgcls_ray.data.tasks import map_blocks
from imgcls_ray.data.workplace import publish, workplace
from imgcls_ray.data.writer import write_block
from imgcls_ray.errors import DataError, StorageError

_FILES_PER_BLOCK = 512

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Preprocessed:
    """A preprocessed set on disk."""

    path: Path
    index: Index
    counts: Counts
    reused: bool
    """Whether it was there already, so that nothing was decoded."""


def preprocess(data: str, out: Path, settings: PreprocessSettings, progress: Progress | None = None) -> Preprocessed:
    """Turn the folder `data` into `out/<name>-<fingerprint>/`, or find it there whole.

    Ray must be initialised. `progress(done, total)` counts files: each half when it was inspected, half when it was
    decoded. A run that is killed leaves at most a folder whose name begins with a dot.

    Raises:
        DataError: the data breaks a rule; nothing is left behind.
        StorageError: `out` can't be written or is full; nothing is left behind.
    """
    source = list_source(data)
    labels = source.labels
    out = Path(out).expanduser().resolve()
    if out.is_relative_to(source.root):
        raise StorageError(
            f"The storage can't lie inside the data folder, where its folders would count as classes; "
            f"{out} is inside {source.root}: choose another place with --storage."
        )
    fingerprint = fingerprint_of(source, settings)
    final = out / f"{source.name}-{fingerprint[:12]}"
    found = _whole(final)
    if found:
        return found
    tell = _Progress(progress, len(source.items))
    with workplace(out, final.name) as folder:
        rows = _inspected(source, settings, tell)
        rows = plan.with_splits(plan.without_repeats(rows), source, settings)
        plan.check_counts(rows, labels, source.root)
        shards = plan.plan_shards(rows, labels, settings)
        tell.decoded(len(rows) - sum(len(shard.rows) for shard in shards))
        rows, entries = _written(rows, shards, source, labels, settings, folder, tell)
        plan.check_counts(rows, labels, source.root)
        with storing(out):
            index = Index(
                labels=labels,
                pixels=plan.pixel_ops(settings),
                format=settings.format,
                fingerprint=fingerprint,
                name=source.name,
                shards=entries,
                class_counts=plan.class_counts(rows, labels),
                manifest_sha256=write_manifest(folder, rows),
            )
            write_index(folder, index)
            publish(folder, final, _whole)
    return Preprocessed(final, index, count(rows), reused=False)


def open_preprocessed(path: Path) -> Preprocessed:
    """Open a preprocessed set; every file is checked against its sha256.

    Raises:
        DataError: it is missing, damaged, or written by another version.
    """
    path = Path(path)
    index = read_index(path)
    verify(path, index)
    return Preprocessed(path, index, count(read_manifest(path)), reused=True)


def fingerprint_of(source: Source, settings: PreprocessSettings) -> str:
    """Hex sha256 of the files (path, size, time of change, label, split), the settings and the versions."""
    document = {
        "format": FORMAT_VERSION,
        "decoder": DECODER_VERSION,
        "settings": settings.model_dump(mode="json"),
        "items": [[item.path, item.bytes, item.mtime_ns, item.label, item.split] for item in source.items],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _whole(path: Path) -> Preprocessed | None:
    """The set at `path`; None where there is none or it is damaged, so that it is made (again)."""
    try:
        return open_preprocessed(path) if path.is_dir() else None
    except DataError:
        return None


class _Progress:
    """Files inspected and decoded, told as one number that ends at the number of files."""

    def __init__(self, tell: Progress | None, total: int) -> None:
        self._tell, self._total = tell, total
        self._halves = 0

    def decoded(self, files: int) -> None:
        self._halves += files
        if self._tell:
            self._tell(self._halves // 2, self._total)

    inspected = decoded


def _inspected(source: Source, settings: PreprocessSettings, tell: _Progress) -> list[ManifestRow]:
    paths = [item.path for item in source.items]
    blocks = [
        pa.table({"number": range(start, min(start + _FILES_PER_BLOCK, len(paths))), "path": part})
        for start in range(0, len(paths), _FILES_PER_BLOCK)
        if (part := paths[start : start + _FILES_PER_BLOCK])
    ]
    rows: dict[int, ManifestRow] = {}
    for table in map_blocks(blocks, inspect_block, {"root": source.root, "max_pixels": settings.max_pixels}):
        for found in table.to_pylist():
            rows[found["number"]] = to_row(source.items[found["number"]], found)
        tell.inspected(table.num_rows)
    return [rows[number] for number in range(len(paths))]


def _written(
    rows: list[ManifestRow],
    shards: list[plan.ShardPlan],
    source: Source,
    labels: Labels,
    settings: PreprocessSettings,
    folder: Path,
    tell: _Progress,
) -> tuple[list[ManifestRow], tuple[ShardEntry, ...]]:
    """Write all shards; returns the rows with what decoding told, and the entries in the order of their names."""
    blocks = [
        pa.table(
            {
                "stem": [shard.stem] * len(shard.rows),
                "path": [rows[n].path for n in shard.rows],
                "label": [labels.index(rows[n].label) for n in shard.rows],
                "sha256": [rows[n].sha256 for n in shard.rows],
            }
        )
        for shard in shards
    ]
    plans = {shard.stem: shard for shard in shards}
    suffix = shard_format(settings.format).suffix
    entries = []
    result = list(rows)
    arguments = {
        "root": source.root,
        "folder": str(folder),
        "ops": plan.pixel_ops(settings),
        "labels": labels,
        "format": settings.format,
    }
    for table in map_blocks(blocks, write_block, arguments):
        for done in table.to_pylist():
            if done["error"]:
                raise storage_error(folder.parent, OSError(done["errno"], done["error"]))
            shard = plans[done["stem"]]
            file = shard.stem + suffix
            place = 0
            for n, reason in zip(shard.rows, done["reasons"], strict=True):
                if reason:
                    result[n] = replace(rows[n], status="rejected", reason=reason)
                else:
                    result[n] = replace(rows[n], shard=file, row=place)
                    place += 1
            if done["rows"]:
                _check_there(folder / file, done["bytes"])
                entries.append(ShardEntry(file, shard.split, done["rows"], done["bytes"], done["sha256"]))
            tell.decoded(len(shard.rows))
    return result, tuple(sorted(entries, key=lambda entry: entry.file))


def _check_there(path: Path, size: int) -> None:
    if not path.is_file() or path.stat().st_size != size:
        raise StorageError(
            f"The storage must be one folder that every node sees; {path.parent} is another one on some node: "
            "choose a shared folder with --storage."
        )
