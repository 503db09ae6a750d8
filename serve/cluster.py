"""The Ray that the service runs on: one of its own on loopback, or one that is joined."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from imgcls_ray.errors import ClusterError
from imgcls_ray.jobs.connection import LOCAL, cluster
from serve.settings import ServeSettings

_CONTROLLER = {"name": "SERVE_CONTROLLER_ACTOR", "namespace": "serve"}


@contextmanager
def ray_at(address: str, settings: ServeSettings) -> Iterator[None]:
    """Ray started (`local`) or joined, and stopped or left at the end.

    Raises:
        ClusterError: it can't be reached, has too little free, or runs Ray Serve already.
    """
    # The replica's lines on the user's terminal: as they are, and each of them.
    os.environ.setdefault("RAY_DISABLE_WORKER_LOG_PREFIX", "1")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # By default Serve kills its proxy after three times 5 s without an answer: on a busy machine before it is up.
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "30")
    cpus = settings.cpus * max(settings.min_replicas, settings.max_replicas)
    with cluster(address, cpus if address == LOCAL else None, logs=True):
        from ray import serve  # noqa: F401 - it sets the level of its logger when it is imported

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        if address != LOCAL:
            _check(settings)
        yield


def _check(settings: ServeSettings) -> None:
    import ray
    from ray.util import list_named_actors

    if _CONTROLLER in list_named_actors(all_namespaces=True):
        raise ClusterError(
            "This cluster runs Ray Serve already; add the model to it with `serve deploy`, as docs/serving.md shows."
        )
    free = ray.available_resources()
    for name, needed in (("CPU", settings.cpus), ("GPU", settings.gpus)):
        if free.get(name, 0.0) < needed:
            raise ClusterError(
                f"The service needs {needed:g} free {name} on the cluster, {free.get(name, 0.0):g} are free; "
                f"wait until other work has ended or ask for less."
            )
