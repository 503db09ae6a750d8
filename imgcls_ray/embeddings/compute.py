"""Computing embeddings on the cluster, each once."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from imgcls_ray import errors
from imgcls_ray.config import Size
from imgcls_ray.data.files import storing
from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.sources import SPLITS
from imgcls_ray.data.tasks import quiet
from imgcls_ray.embeddings.pool import plan_pool
from imgcls_ray.embeddings.store import Embeddings, file_of
from imgcls_ray.embeddings.worker import ShardEmbedder
from imgcls_ray.errors import ClusterError
from imgcls_ray.models import Weights
from imgcls_ray.models import backbone as find_backbone

FORMAT_VERSION = 1
"""Raised whenever the same pictures would give other features or another file; part of each key."""

_ATTEMPTS = 3
Progress = Callable[[int, int], None]


def embed(
    preprocessed: Preprocessed,
    backbone: str,
    weights: Weights,
    out: Path,
    progress: Progress | None = None,
    unfrozen: int = 0,
    views: int = 0,
) -> Embeddings:
    """Compute what a frozen backbone makes of every picture, or find it below `out`.

    Ray must be initialised; `out` and the weights are where each node sees them. A file is named by its shard's digest
    and its view, its folder by backbone, weights, pixel operations and cut: nothing is embedded twice, and a run that
    was killed goes on with the files that are missing. `progress(done, total)` counts the pictures still to embed.
    With `unfrozen` the last so many layers with a kernel are left out (see `models.tail`); `views` augmented views are
    computed of each training picture.

    Raises:
        SettingsError: no such backbone, the pictures are smaller than it can take, or it has fewer layers.
        WeightsError: the weights do not fit the backbone.
        DataError: a shard is damaged.
        StorageError: `out` can't be written or is full.
        ClusterError: the workers died three times.
    """
    index = preprocessed.index
    entry = find_backbone(backbone)
    entry.check_size(Size(index.pixels.height, index.pixels.width))
    folder = Path(out) / f"{entry.name}-{_key(entry.name, weights, index, unfrozen)[:12]}"
    embeddings = Embeddings(folder, index, entry.name, weights, entry.features, unfrozen, views, 0)
    missing = _missing(embeddings)
    if missing:
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _compute_all(preprocessed, embeddings, progress)
    return replace(embeddings, computed=len(missing))


class _Task(NamedTuple):
    entry: ShardEntry
    view: int
    target: Path


def _missing(embeddings: Embeddings) -> list[_Task]:
    """What has no file yet; of equal shards one."""
    tasks = {
        path: _Task(entry, view, path)
        for split in SPLITS
        for view in range(embeddings.views + 1 if split == "train" else 1)
        for entry in embeddings.index.of(split)
        if not (path := embeddings.folder / file_of(entry, view)).is_file()
    }
    return list(tasks.values())


def _compute_all(preprocessed: Preprocessed, embeddings: Embeddings, progress: Progress | None) -> None:
    from ray.exceptions import RayError

    total = sum(task.entry.rows for task in _missing(embeddings))
    for attempt in range(1, _ATTEMPTS + 1):
        missing = _missing(embeddings)
        done = total - sum(task.entry.rows for task in missing)
        try:
            for rows in _computed(preprocessed, embeddings, missing):
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


def _computed(preprocessed: Preprocessed, embeddings: Embeddings, tasks: list[_Task]) -> Iterator[int]:
    """Do each of `tasks` on the cluster; yields the pictures of each as it is written."""
    import ray.data

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    pool = plan_pool(len(tasks), nodes)
    rows_of = [asdict(task.entry) | {"view": task.view, "target": str(task.target)} for task in tasks]
    blocks = [pa.table({key: [value] for key, value in row.items()}) for row in rows_of]
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
                fn_constructor_args=(
                    str(preprocessed.path),
                    index.format,
                    embeddings.backbone,
                    embeddings.weights,
                    index.pixels,
                    pool.cpus,
                    embeddings.unfrozen,
                ),
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


def _key(name: str, weights: Weights, index: Index, unfrozen: int) -> str:
    document = [FORMAT_VERSION, name, weights.sha256, index.pixels.to_json(), unfrozen]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
