"""How a cluster is shared out among the actors that embed."""

import pytest

from imgcls_ray.embeddings.pool import Pool, plan_pool

GIB = float(1 << 30)


@pytest.mark.parametrize(
    ("shards", "nodes", "pool"),
    [
        (8, [{"CPU": 2.0, "memory": 8 * GIB}], Pool(actors=2, cpus=1, gpus=0)),
        (1, [{"CPU": 2.0, "memory": 8 * GIB}], Pool(actors=1, cpus=2, gpus=0)),
        (100, [{"CPU": 64.0, "memory": 16 * GIB}], Pool(actors=16, cpus=4, gpus=0)),
        (2, [{"CPU": 3.0}, {"CPU": 5.0}], Pool(actors=2, cpus=3, gpus=0)),  # no actor may ask more than a node has
        (8, [{"CPU": 0.0}, {"CPU": 2.0}], Pool(actors=2, cpus=1, gpus=0)),  # a head node that does no work
        (8, [{"CPU": 2.0, "memory": 0.1 * GIB}], Pool(actors=1, cpus=2, gpus=0)),
        (8, [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 2.0}], Pool(actors=3, cpus=1, gpus=1)),
        (2, [{"CPU": 8.0, "GPU": 4.0}], Pool(actors=2, cpus=1, gpus=1)),
    ],
)
def test_actors_fit_the_cluster_and_the_work(shards: int, nodes: list[dict[str, float]], pool: Pool) -> None:
    assert plan_pool(shards, nodes) == pool


def test_openvino_needs_less_memory_and_no_gpu() -> None:
    node = {"CPU": 64.0, "memory": 16 * GIB, "GPU": 1.0}
    assert plan_pool(100, [node], "openvino") == Pool(actors=32, cpus=2, gpus=0)
    assert plan_pool(100, [node], "tensorflow") == Pool(actors=1, cpus=1, gpus=1)
