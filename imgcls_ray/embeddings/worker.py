"""What runs on the cluster: an actor that holds one backbone and makes one file at a time."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from imgcls_ray.data.augment import augmented_view
from imgcls_ray.data.files import storage_error
from imgcls_ray.data.index import ShardEntry
from imgcls_ray.data.shards import read_shard
from imgcls_ray.embeddings.files import write_file
from imgcls_ray.embeddings.job import EmbeddingJob
from imgcls_ray.errors import ImgclsError
from imgcls_ray.inference.base import Engine


class ShardEmbedder:
    """Callable on a table of one shard entry and its target; answers with the rows written or what went wrong.

    Errors of this program are answered, not raised, so that the driver can raise them as what they are.

    Args:
        job: what is computed.
        program: a reference to the converted network, for OpenVINO; None for TensorFlow.
        threads: CPUs of this actor.
    """

    def __init__(self, job: EmbeddingJob, program: Any | None, threads: int) -> None:
        self._job = job
        self._error: ImgclsError | None = None
        self._engine: Engine | None = None
        try:
            self._engine = _tensorflow(job, threads) if program is None else _openvino(job, program, threads)
        except ImgclsError as error:
            self._error = error

    def __call__(self, table: pa.Table) -> pa.Table:
        rows, error, targets = 0, self._error, []
        for task in table.to_pylist():
            target, view = Path(task.pop("target")), task.pop("view")
            if error is None:
                try:
                    rows += self._embed(ShardEntry(**task), view, target)
                    targets.append(str(target))
                except ImgclsError as caught:
                    error = caught
        name, message = (type(error).__name__, str(error)) if error else ("", "")
        return pa.table({"rows": [rows], "targets": [targets], "error": [name], "message": [message]})

    def _embed(self, entry: ShardEntry, view: int, target: Path) -> int:
        shard = read_shard(self._job.folder, entry, self._job.shards)
        if self._engine is None:
            return 0
        # View 0 is the picture itself; the others follow from the shard and their number alone.
        seed = int(entry.sha256[:8], 16) + view
        images = augmented_view(shard.images, seed) if view else shard.images
        features = self._engine.predict(images)
        try:
            write_file(target, features, shard.labels, shard.keys)
        except OSError as error:
            raise storage_error(target, error) from error
        return entry.rows


def _tensorflow(job: EmbeddingJob, threads: int) -> Engine:
    from imgcls_ray.inference.device import claim

    claim(threads)
    from imgcls_ray.embeddings.network import network
    from imgcls_ray.inference.engine import TensorFlowEngine

    return TensorFlowEngine(network(job))


def _openvino(job: EmbeddingJob, program: Any, threads: int) -> Engine:
    import ray

    from imgcls_ray.inference.openvino import OpenVinoEngine

    return OpenVinoEngine(ray.get(program), threads, job.precision)
