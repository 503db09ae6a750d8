"""How many actors embed, and what each of them gets."""

from dataclasses import dataclass

from imgcls_ray.inference.base import EngineName

_MEMORY: dict[EngineName, int] = {"tensorflow": 1 << 30, "openvino": 1 << 29}
"""Bytes of an actor: the engine with a backbone, a shard of pictures and their feature maps."""


@dataclass(frozen=True)
class Pool:
    """Actors, and the CPUs and GPUs of each."""

    actors: int
    cpus: int
    gpus: int


def plan_pool(files: int, nodes: list[dict[str, float]], engine: EngineName = "tensorflow") -> Pool:
    """Share the cluster out among actors that make a file each; `nodes` holds the resources of each node.

    TensorFlow where there are GPUs: one actor per GPU. Else one actor per CPU, as far as there are files and memory:
    the engine loads in all of them at the same time, and two actors of one thread embed more than one of two threads.
    CPUs that are left over go to the actors as further threads.
    """
    gpus = gpus_of(nodes)
    if gpus and engine == "tensorflow":
        return Pool(actors=max(1, min(files, gpus)), cpus=1, gpus=1)
    cpus = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1] or [1]
    memory = sum(node.get("memory", 0) for node in nodes)
    fitting = int(memory // _MEMORY[engine]) if memory else sum(cpus)
    actors = max(1, min(files, sum(cpus), fitting))
    return Pool(actors, max(1, min(sum(cpus) // actors, min(cpus))), 0)


def gpus_of(nodes: list[dict[str, float]]) -> int:
    """GPUs of the cluster."""
    return sum(int(node.get("GPU", 0)) for node in nodes)
