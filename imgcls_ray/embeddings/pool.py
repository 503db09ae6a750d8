"""How many actors embed, and what each of them gets."""

from dataclasses import dataclass

_MEMORY_PER_ACTOR = 1 << 30  # bytes: TensorFlow with a backbone and a batch of feature maps


@dataclass(frozen=True)
class Pool:
    """Actors, and the CPUs and GPUs of each."""

    actors: int
    cpus: int
    gpus: int


def plan_pool(shards: int, nodes: list[dict[str, float]]) -> Pool:
    """Share the cluster out among actors that take a shard each; `nodes` holds the resources of each node.

    Where there are GPUs: one actor per GPU. Else one actor per CPU, as far as there are shards and memory: TensorFlow
    loads in all of them at the same time, and two actors of one thread embed more than one of two threads. CPUs that
    are left over go to the actors as further threads.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if gpus:
        return Pool(actors=max(1, min(shards, gpus)), cpus=1, gpus=1)
    cpus = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1] or [1]
    memory = sum(node.get("memory", 0) for node in nodes)
    fitting = int(memory // _MEMORY_PER_ACTOR) if memory else sum(cpus)
    actors = max(1, min(shards, sum(cpus), fitting))
    return Pool(actors, max(1, min(sum(cpus) // actors, min(cpus))), 0)
