"""Making files of embeddings on the cluster, each by one task of a pool of actors."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from imgcls_ray import errors, quiet
from imgcls_ray.data import tasks as ray_data
from imgcls_ray.embeddings.job import EmbeddingJob, Task
from imgcls_ray.embeddings.pool import gpus_of, plan_pool
from imgcls_ray.embeddings.worker import ShardEmbedder
from imgcls_ray.errors import ClusterError, ModelError, SettingsError
from imgcls_ray.inference.base import EngineChoice, EngineName
from imgcls_ray.inference.choice import check_choice, log_once, without_openvino
from imgcls_ray.inference.openvino import check_installed
from imgcls_ray.inference.program import Program

_ATTEMPTS = 3
Progress = Callable[[int, int], None]


def check_running() -> None:
    """Refuse to go on without Ray.

    Raises:
        ClusterError: Ray is not running in this process.
    """
    import ray

    if not ray.is_initialized():
        raise ClusterError(
            "Embeddings are computed by Ray, which is not running in this process: call ray.init() before, or use "
            "'imgcls embed', which starts it."
        )


def compute(
    job: EmbeddingJob, tasks: Sequence[Task], engine: EngineChoice = "auto", progress: Progress | None = None
) -> EngineName:
    """Make the file of each task, and say which engine did. `progress(done, total)` counts pictures.

    Raises:
        SettingsError: the engine can't be had, or has no such precision; the backbone has fewer layers.
        ModelError: OpenVINO is asked for and can't run this network.
        WeightsError: the weights do not fit the backbone.
        DataError: a shard is damaged.
        StorageError: a file can't be written.
        ClusterError: Ray is not running, or the workers died three times.
    """
    check_running()
    import ray
    from ray.exceptions import RayError

    found = _program(job, engine)
    name: EngineName = "tensorflow" if found is None else "openvino"
    # By reference: a large network is sent once to a node, not with each actor.
    program = None if found is None else ray.put(found)
    left = {str(task.target): task for task in tasks}
    total = sum(task.entry.rows for task in tasks)
    done, deaths = 0, 0
    while left:
        try:
            for targets in _made(job, list(left.values()), program, name):
                done += sum(left.pop(target).entry.rows for target in targets)
                if progress:
                    progress(done, total)
        except SettingsError as error:
            # This machine has OpenVINO, but a worker's node has not: TensorFlow is on all of them.
            if program is None or engine != "auto" or job.precision != "float32":
                raise
            log_once(f"TensorFlow is used for what is left: {error}")
            program, name = None, "tensorflow"
        except RayError as error:
            # A node that went away is worth another try with what is left of the cluster; too little memory is not.
            deaths += 1
            if deaths == _ATTEMPTS:
                raise ClusterError(
                    f"The workers that compute embeddings died {_ATTEMPTS} times ({type(error).__name__}); most often "
                    "they lack memory: give the cluster more of it, or fewer CPUs, so that fewer of them run at once."
                ) from error
    return name


def _program(job: EmbeddingJob, engine: EngineChoice) -> Program | None:
    """The network for OpenVINO; None where TensorFlow is to compute.

    `auto` is OpenVINO on CPUs however few the pictures: one conversion here takes a second, and then no worker loads
    TensorFlow, which takes each of them four. On a busy machine 60 pictures took 8.8 s where this process had to load
    TensorFlow first, 6.1 s where it had it already, as in the main job, and 8.4 and 12.7 s by TensorFlow.
    """
    check_choice(engine, job.precision)
    free = engine == "auto" and job.precision == "float32"
    reason = without_openvino(gpus_of(_nodes())) if free else ""
    if engine == "tensorflow" or reason:
        log_once(reason or "TensorFlow is used, as asked.")
        return None
    check_installed()
    quiet.import_tensorflow()
    from imgcls_ray.embeddings.network import network
    from imgcls_ray.inference.conversion import convert

    try:
        return convert(network(job))
    except ModelError as error:
        if not free:
            raise
        log_once(str(error))
        return None


def _nodes() -> list[dict[str, float]]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _made(job: EmbeddingJob, tasks: list[Task], program: Any | None, engine: EngineName) -> Iterator[list[str]]:
    """Do each of `tasks`; yields the files that were written, as they are."""
    import ray.data

    pool = plan_pool(len(tasks), _nodes(), engine)
    rows = [asdict(task.entry) | {"view": task.view, "target": str(task.target)} for task in tasks]
    # Not from_arrow: it starts workers to look at the blocks, and others are to embed them: 1.3 s of each call.
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    with ray_data.quiet():
        with warnings.catch_warnings():
            # By default Ray Data restarts a worker that dies for ever; its way to say otherwise has no named parameter.
            warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
            mapped = ray_data.single_step(dataset).map_batches(
                ShardEmbedder,
                fn_constructor_args=(job, program, pool.cpus),
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
                yield row["targets"]
