"""One worker alone gets back what it gave; two are tested as a gang."""

from imgcls_ray.training.allreduce import AllReduce


def test_one_worker_alone_averages_nothing() -> None:
    alone = AllReduce()
    assert (alone.rank, alone.size) == (0, 1)
    assert alone.mean(["a", "b"]) == ["a", "b"]  # type: ignore[list-item]
    assert alone.sums({"loss": 2.5}) == {"loss": 2.5}
