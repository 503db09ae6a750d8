"""What each trial gets of the cluster, checked before the first one starts."""

from dataclasses import dataclass

import ray

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import ClusterError
from imgcls_ray.inference.device import tensorflow_gpus

GPU_SECONDS = 60.0
"""How long a look at a GPU waits for one that is free."""


@dataclass(frozen=True)
class TrialResources:
    """One trial's share, and how many trials run at once."""

    concurrency: int
    workers: int
    cpus: float
    """Of a trial with one worker, else of each worker."""
    gpus: float

    def describe(self) -> str:
        """In words, for the plan that is printed before the start."""
        each = f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
        who = f"{self.workers} workers with {each} each" if self.workers > 1 else each
        return f"{self.concurrency} at once, {who}"


def plan_resources(settings: SearchSettings, shared_by: int | None = None) -> TrialResources:
    """Divide the cluster among the trials: one GPU per worker where there are GPUs, else CPUs.

    `shared_by` is for a trial that is repeated: the trials of its study. It gets the share that it had among these, as
    far as the cluster tells, because the number of its threads may decide the last bit of a sum.

    Raises:
        ClusterError: the cluster can't hold what was asked for; the sentence has the arithmetic.
    """
    have = ray.cluster_resources()
    cpus, gpus = int(have.get("CPU", 0)), int(have.get("GPU", 0))
    workers = settings.workers
    unit, units = ("GPU", gpus) if gpus else ("CPU", cpus)
    slots = units // workers
    wanted = settings.concurrency or slots
    if shared_by is not None:
        wanted = min(wanted, slots)
    if slots < 1 or wanted > slots:
        wanted = max(wanted, 1)
        raise ClusterError(
            f"{wanted} trial(s) at once with {workers} worker(s) each need {wanted} x {workers} = {wanted * workers} "
            f"{unit}s; the cluster has {units}: lower --concurrency or --workers, or add nodes."
        )
    concurrency = min(wanted, settings.trials)
    shares = min(wanted, shared_by or settings.trials)
    each = _fitting(max(1, cpus // (shares * workers)), gpus > 0, concurrency * workers)
    return TrialResources(concurrency, workers, each, 1 if gpus else 0)


def check_gpus(resources: TrialResources) -> None:
    """Where trials are to have GPUs, look in a worker that holds one whether TensorFlow can use it (some seconds).

    Where all of them are taken nothing is looked at: the trials will wait for them.

    Raises:
        ClusterError: it can't, and would train on CPUs without a word.
    """
    if not resources.gpus:
        return
    found = ray.remote(num_cpus=0, num_gpus=1)(tensorflow_gpus).remote()
    done, _ = ray.wait([found], timeout=GPU_SECONDS)
    if not done:
        ray.cancel(found)
    elif not ray.get(found):
        raise ClusterError(
            "Each trial is given a GPU of the cluster's, but TensorFlow sees none there: install CUDA's libraries "
            "(imgcls-ray[gpu]) on each node, or start Ray with CUDA_VISIBLE_DEVICES='' to train on the CPUs."
        )


def _fitting(cpus: int, gpu: bool, number: int) -> int:
    """The most CPUs up to `cpus` for each of `number` workers, such that all fit on the nodes; none is spread over two.

    Raises:
        ClusterError: they don't even with one each.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def room(each: int) -> int:
        return sum(min(int(node.get("CPU", 0)) // each, int(node.get("GPU", 0)) if gpu else number) for node in nodes)

    found = next((each for each in range(cpus, 0, -1) if room(each) >= number), None)
    if found is None:
        what = "1 CPU and 1 GPU" if gpu else "1 CPU"
        have = "; ".join(f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes)
        raise ClusterError(
            f"{number} workers at once need {what} each on one node; the nodes have {have}, which is room for "
            f"{room(1)}: lower --concurrency or --workers, or add nodes."
        )
    return found
