"""Embeddings of a set for the main job: each file computed once, found again by content."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from imgcls_ray.data.files import storing
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.embeddings.cluster import Progress, compute
from imgcls_ray.embeddings.files import is_whole
from imgcls_ray.embeddings.job import EmbeddingJob, Task
from imgcls_ray.embeddings.store import Embeddings, file_of, parts_of
from imgcls_ray.inference.base import EngineChoice, Precision
from imgcls_ray.inference.choice import check_choice
from imgcls_ray.models import Weights, find_backbone


def embed(
    preprocessed: Preprocessed,
    backbone: str,
    weights: Weights,
    out: Path,
    progress: Progress | None = None,
    unfrozen: int = 0,
    views: int = 0,
    engine: EngineChoice = "auto",
    precision: Precision = "float32",
) -> Embeddings:
    """Compute what a frozen backbone makes of every picture, or find it below `out`.

    Ray must be initialised; `out` and the weights are where each node sees them. A file is named by its shard's digest
    and its view, its folder by backbone, weights, pixel operations, cut and precision: nothing is embedded twice, a set
    that got new shards has only these embedded, and a run that was killed goes on with the files that are missing. Each
    file found is checked, and made again if damaged. `progress(done, total)` counts the pictures still to embed. With
    `unfrozen` the last so many layers with a kernel are left out (see `models.tail`); `views` augmented views are
    computed of each training picture.

    Raises:
        SettingsError: no such backbone, it can't take the pictures, or it has fewer layers; the engine can't be had, or
            has no such precision.
        ModelError: OpenVINO is asked for and can't run this network; the bundle is gone or was changed.
        WeightsError: the weights do not fit the backbone.
        DataError: a shard is damaged.
        StorageError: `out` can't be written or is full.
        ClusterError: Ray is not running, or the workers died three times.
    """
    check_choice(engine, precision)
    job = EmbeddingJob.of(preprocessed, backbone, weights, unfrozen, precision)
    index, width = preprocessed.index, find_backbone(job.backbone).features
    folder = Path(out) / f"{job.label}-{job.key[:12]}"
    embeddings = Embeddings(folder, index, job.backbone, weights, width, unfrozen, views, 0, precision)
    tasks = [Task(entry, view, folder / file_of(entry, view)) for entry, view in parts_of(index, views)]
    missing = missing_of(tasks)
    if missing:
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        embeddings = replace(embeddings, engine=compute(job, missing, engine, progress))
    return replace(embeddings, computed=len(missing))


def missing_of(tasks: Iterable[Task]) -> list[Task]:
    """Those of which there is no file, or a damaged one; of equal targets one."""
    distinct = list({task.target: task for task in tasks}.values())
    with ThreadPoolExecutor() as pool:
        whole = pool.map(lambda task: is_whole(task.target, task.entry.rows), distinct)
        return [task for task, found in zip(distinct, whole, strict=True) if not found]
