"""Embeddings: the frozen features of a preprocessed set, one file per shard, kept by content."""

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from imgcls_ray import errors
from imgcls_ray.config import Size
from imgcls_ray.data.files import storing
from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.sources import Split
from imgcls_ray.data.tasks import quiet
from imgcls_ray.embeddings.pool import plan_pool
from imgcls_ray.embeddings.worker import ShardEmbedder
from imgcls_ray.errors import ClusterError, StorageError
from imgcls_ray.models import Weights
from imgcls_ray.models import backbone as find_backbone

FORMAT_VERSION = 1
"""Raised whenever the same pictures would give other features or another file; part of each key."""

_ATTEMPTS = 3

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Embeddings:
    """Features of all splits, on disk."""

    folder: Path
    index: Index
    features: int
    """Width D of a feature vector."""
    computed: int
    """Shards that this call computed; 0 where all were there."""

    def paths(self, split: Split) -> tuple[Path, ...]:
        """The files of a split, in the order of its shards: `.npz` with `features` and `labels`."""
        return tuple(self.folder / _file_of(entry) for entry in self.index.of(split))

    def load(self, split: Split) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Features (n, D) float32 and labels (n,) int64 of a split, in the order of its shards.

        Raises:
            StorageError: a file is missing or damaged.
        """
        features = [np.zeros((0, self.features), np.float32)]
        labels = [np.zeros(0, np.int64)]
        for entry, path in zip(self.index.of(split), self.paths(split), strict=True):
            x, y = _read(path)
            if x.shape != (entry.rows, self.features) or y.shape != (entry.rows,):
                raise _damaged(path, f"it holds {x.shape} features")
            features.append(x)
            labels.append(y)
        return np.concatenate(features), np.concatenate(labels)


def embed(
    preprocessed: Preprocessed, backbone: str, weights: Weights, out: Path, progress: Progress | None = None
) -> Embeddings:
    """Compute the features of every picture with a frozen backbone, or find them below `out`.

    Ray must be initialised; `out` and the weights are where each node sees them. A file is named by its shard's digest,
    its folder by backbone, weights and pixel operations: the same pictures are never embedded twice, and a run that
    was killed goes on with the shards that are missing. `progress(done, total)` counts the pictures still to embed.

    Raises:
        SettingsError: no such backbone, or the pictures are smaller than it can take.
        WeightsError: the weights do not fit the backbone.
        DataError: a shard is damaged.
        StorageError: `out` can't be written or is full.
        ClusterError: the workers died three times.
    """
    index = preprocessed.index
    entry = find_backbone(backbone)
    entry.check_size(Size(index.pixels.height, index.pixels.width))
    folder = Path(out) / f"{entry.name}-{_key(entry.name, weights, index)[:12]}"
    missing = _missing(index, folder)
    if missing:
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _compute_all(preprocessed, entry.name, weights, folder, progress)
    return Embeddings(folder, index, entry.features, len(missing))


def _missing(index: Index, folder: Path) -> list[ShardEntry]:
    """The shards without a file in `folder`; of equal shards one."""
    shards = {shard.sha256: shard for shard in index.shards}
    return [shard for shard in shards.values() if not (folder / _file_of(shard)).is_file()]


def _compute_all(
    preprocessed: Preprocessed, name: str, weights: Weights, folder: Path, progress: Progress | None
) -> None:
    from ray.exceptions import RayError

    total = sum(shard.rows for shard in _missing(preprocessed.index, folder))
    for attempt in range(1, _ATTEMPTS + 1):
        missing = _missing(preprocessed.index, folder)
        done = total - sum(shard.rows for shard in missing)
        try:
            for rows in _computed(preprocessed, name, weights, folder, missing):
                done += rows
                if progress:
                    progress(done, total)
            return
        except RayError as error:
            # A node that went away is worth another try with what is left of the cluster; too little memory is not.
            if attempt == _ATTEMPTS:
                raise ClusterError(
                    f"The workers that compute embeddings died {_ATTEMPTS} times ({type(error).__name__}); most often "
                    "they lack memory: give the cluster more of it, or fewer CPUs, so that fewer of them run at once."
                ) from error


def _computed(
    preprocessed: Preprocessed, name: str, weights: Weights, folder: Path, shards: list[ShardEntry]
) -> Iterator[int]:
    """Embed each of `shards` on the cluster; yields the pictures of each as it is written."""
    import ray.data

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    pool = plan_pool(len(shards), nodes)
    blocks = [
        pa.table({key: [value] for key, value in asdict(shard).items()} | {"target": [str(folder / _file_of(shard))]})
        for shard in shards
    ]
    index = preprocessed.index
    with quiet():
        dataset = ray.data.from_arrow(blocks)
        dataset.context.enable_progress_bars = False
        dataset.context.print_on_execution_start = False
        with warnings.catch_warnings():
            # By default Ray Data restarts a worker that dies for ever; its way to say otherwise has no named parameter.
            warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
            mapped = dataset.map_batches(
                ShardEmbedder,
                fn_constructor_args=(str(preprocessed.path), index.format, name, weights, index.pixels, pool.cpus),
                compute=ray.data.ActorPoolStrategy(size=pool.actors, max_tasks_in_flight_per_actor=2),
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=pool.cpus,
                num_gpus=pool.gpus or None,
                max_restarts=0,
            )
        for table in mapped.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in table.to_pylist():
                if row["error"]:
                    raise getattr(errors, row["error"])(row["message"])
                yield row["rows"]


def _key(name: str, weights: Weights, index: Index) -> str:
    document = [FORMAT_VERSION, name, weights.sha256, index.pixels.to_json()]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _file_of(entry: ShardEntry) -> str:
    return f"{entry.sha256}.npz"


def _read(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        # Opened here, because NumPy leaves a damaged archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["features"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: object) -> StorageError:
    return StorageError(
        f"The embeddings in {path} must be the file that was written and can't be read ({reason}); "
        "delete it and run again."
    )
