"""What each trial gets fits on the nodes that there are: none is spread over two of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import ClusterError
from imgcls_ray.search.resources import TrialResources, check_gpus, plan_resources


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the nodes of a cluster, (CPUs, GPUs) each; one more has gone."""

    def of(*nodes: tuple[float, float]) -> None:
        listed = [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}} for cpus, gpus in nodes]
        gone = {"Alive": False, "Resources": {"CPU": 64.0}}
        total = {"CPU": sum(cpus for cpus, _ in nodes), "GPU": sum(gpus for _, gpus in nodes)}
        monkeypatch.setattr("ray.nodes", lambda: [*listed, gone])
        monkeypatch.setattr("ray.cluster_resources", lambda: total)

    return of


@pytest.mark.parametrize(
    ("nodes", "asked", "found"),
    [
        ([(8.0, 0.0)], {"concurrency": 2}, TrialResources(2, 1, 4, 0)),
        ([(4.0, 0.0)] * 4, {"concurrency": 3}, TrialResources(3, 1, 4, 0)),  # 16 // 3 = 5 fit nowhere
        ([(8.0, 1.0), (8.0, 1.0), (16.0, 0.0)], {}, TrialResources(2, 1, 8, 1)),  # 32 // 2 = 16 have no GPU
        ([(2.0, 0.0), (6.0, 0.0)], {"concurrency": 1, "workers": 4}, TrialResources(1, 4, 2, 0)),
        ([(3.0, 0.0), (5.0, 0.0)], {"concurrency": 1, "workers": 4}, TrialResources(1, 4, 1, 0)),
    ],
)
def test_a_share_fits_on_a_node(cluster: Any, nodes: Any, asked: dict[str, int], found: TrialResources) -> None:
    cluster(*nodes)
    assert plan_resources(SearchSettings(trials=30, **asked)) == found  # type: ignore[arg-type]


def test_what_fits_on_no_node_is_refused_with_the_arithmetic(cluster: Any) -> None:
    cluster((0.0, 2.0), (16.0, 0.0))
    with pytest.raises(ClusterError, match=r"2 workers at once need 1 CPU and 1 GPU each .* room for 0: lower"):
        plan_resources(SearchSettings(trials=30))


def test_gpus_that_tensorflow_can_not_use_are_told_before_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.remote", lambda **_: lambda function: SimpleNamespace(remote=function))
    monkeypatch.setattr("ray.get", lambda value: value)
    monkeypatch.setattr("ray.wait", lambda refs, timeout: (refs, []))
    check_gpus(TrialResources(1, 1, 1, 0))
    with pytest.raises(ClusterError, match=r"TensorFlow sees none there: install CUDA's libraries"):
        check_gpus(TrialResources(1, 1, 1, 1))
    monkeypatch.setattr("ray.wait", lambda refs, timeout: ([], refs))
    cancelled: list[object] = []
    monkeypatch.setattr("ray.cancel", cancelled.append)
    check_gpus(TrialResources(1, 1, 1, 1))
    assert len(cancelled) == 1
    monkeypatch.setattr("ray.wait", lambda refs, timeout: (refs, []))
    monkeypatch.setattr("imgcls_ray.search.resources.tensorflow_gpus", lambda: 1)
    check_gpus(TrialResources(1, 1, 1, 1))
