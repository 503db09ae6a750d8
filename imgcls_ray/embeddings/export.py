"""Embeddings as files for others: one per shard and view, and a list of them."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgcls_ray.data.files import storing, write_atomic
from imgcls_ray.data.index import Index, ShardEntry, digest
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.sources import Split
from imgcls_ray.embeddings.cluster import Progress, check_running, compute
from imgcls_ray.embeddings.compute import missing_of
from imgcls_ray.embeddings.files import FileFormat
from imgcls_ray.embeddings.job import EmbeddingJob, Task
from imgcls_ray.embeddings.store import parts_of
from imgcls_ray.errors import StorageError
from imgcls_ray.inference.base import EngineChoice, EngineName, Precision
from imgcls_ray.inference.choice import check_choice
from imgcls_ray.models import Weights, find_backbone

LISTING = "embeddings.json"
FORMAT_VERSION = 1
"""Raised whenever the listing changes its meaning."""


@dataclass(frozen=True)
class EmbeddedFile:
    """One file of embeddings."""

    file: str
    """Its name, beside the listing."""
    split: Split
    view: int
    """0 is the picture itself, from 1 on augmented views of it."""
    rows: int
    bytes: int
    sha256: str
    shard_sha256: str
    """Of the shard that it was computed from."""


@dataclass(frozen=True)
class Exported:
    """A folder of embeddings that is complete."""

    out: Path
    files: tuple[EmbeddedFile, ...]
    features: int
    """Width of each vector."""
    engine: EngineName | None
    """What computed the files, the latest where there were several; None where it is not known any more."""
    precision: Precision
    computed: int
    """Files that this call computed."""
    seconds: float
    """From the call to the last file; Ray was up."""

    @property
    def rows(self) -> int:
        """Vectors in all files."""
        return sum(file.rows for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls embed --json` prints."""
        return {
            "files": len(self.files),
            "rows": self.rows,
            "features": self.features,
            "computed": self.computed,
            "seconds": round(self.seconds, 3),
            "engine": self.engine,
            "precision": self.precision,
            "out": str(self.out),
        }


def export(
    preprocessed: Preprocessed,
    backbone: str,
    weights: Weights,
    out: Path,
    views: int = 0,
    file_format: FileFormat = "npz",
    engine: EngineChoice = "auto",
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Exported:
    """Write the embeddings of a set into the folder `out`, and what they are into its `embeddings.json`.

    Ray must be initialised. What is there already is checked and kept: after a kill the next call goes on, and of a set
    that grew only the new shards are embedded. The files that count are those in the list.

    Raises:
        StorageError: `out` holds other embeddings, can't be written or is full.
        And what `embed` raises.
    """
    started = time.perf_counter()
    check_choice(engine, precision)
    check_running()
    job = EmbeddingJob.of(preprocessed, backbone, weights, 0, precision)
    out = Path(out).expanduser().resolve()
    earlier = check_place(out, job.key, file_format)
    index = preprocessed.index
    tasks = [Task(entry, view, out / _name(entry, view, file_format)) for entry, view in parts_of(index, views)]
    missing = missing_of(tasks)
    width = find_backbone(job.backbone).features
    used: EngineName | None = earlier.get("engine")
    if missing:
        with storing(out):
            out.mkdir(parents=True, exist_ok=True)
            # Written before the first file: after a kill it tells what the files are.
            _write(out, job, index, file_format, width, views, used, ())
        used = compute(job, missing, engine, progress)
    with storing(out):
        files = tuple(_listed(task) for task in tasks)
        _write(out, job, index, file_format, width, views, used, files)
    return Exported(out, files, width, used, precision, len(missing), time.perf_counter() - started)


def check_place(out: Path, key: str, file_format: FileFormat) -> dict[str, Any]:
    """The listing in `out`; empty where there is none.

    Raises:
        StorageError: it lists embeddings of another key or format, or can't be read.
    """
    path = out / LISTING
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        there = (found["format_version"], found["key"], found["format"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} can't be read as a list of embeddings ({error}): choose another --out.") from error
    if there != (FORMAT_VERSION, key, file_format):
        raise StorageError(
            f"A folder holds embeddings of one kind; {out} holds those of {found.get('backbone')} in "
            f"{found.get('precision')} as {found.get('format')}, and the backbone, its weights, the pictures' size, "
            "the precision or the format asked for is another: choose another --out."
        )
    return found


def _name(entry: ShardEntry, view: int, file_format: FileFormat) -> str:
    """By place and content: `train-00000-1f3a9c0b2d4e.view-0.tfrecord`."""
    return f"{Path(entry.file).stem}-{entry.sha256[:12]}.view-{view}.{file_format}"


def _listed(task: Task) -> EmbeddedFile:
    entry, path = task.entry, task.target
    return EmbeddedFile(path.name, entry.split, task.view, entry.rows, path.stat().st_size, digest(path), entry.sha256)


def _write(
    out: Path,
    job: EmbeddingJob,
    index: Index,
    file_format: FileFormat,
    width: int,
    views: int,
    engine: EngineName | None,
    files: tuple[EmbeddedFile, ...],
) -> None:
    document = {
        "format_version": FORMAT_VERSION,
        "complete": bool(files),
        "key": job.key,
        "format": file_format,
        "backbone": job.label,
        "weights_sha256": job.weights.sha256,
        "precision": job.precision,
        "engine": engine,
        "features": width,
        "views": views,
        "pixels": index.pixels.to_json(),
        "labels": index.labels.to_json(),
        "set": {"name": index.name, "fingerprint": index.fingerprint},
        "files": [asdict(file) for file in files],
    }
    write_atomic(out / LISTING, json.dumps(document, indent=1, ensure_ascii=False).encode())
