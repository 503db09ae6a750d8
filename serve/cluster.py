"""The Ray that the service runs on: one of its own on loopback, or one that is joined."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from imgcls_ray.errors import ClusterError
from serve.settings import ServeSettings

LOCAL = "local"
"""The address that means a Ray of our own."""

_CONTROLLER = {"name": "SERVE_CONTROLLER_ACTOR", "namespace": "serve"}


@contextmanager
def ray_at(address: str, settings: ServeSettings) -> Iterator[None]:
    """Ray started (`local`) or joined, and stopped or left at the end.

    Raises:
        ClusterError: it can't be reached, has too little free, or runs Ray Serve already.
    """
    if address == LOCAL:
        # Ray reads this when it is imported: a local Ray then takes 127.0.0.1 as the node's address and binds every
        # port to loopback; without it gcs_server, raylet and workers listen on all interfaces.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    # The replica's lines on the user's terminal: as they are, and each of them.
    os.environ.setdefault("RAY_DISABLE_WORKER_LOG_PREFIX", "1")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    ours = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    import ray
    from ray import serve  # noqa: F401 - it sets the level of its logger when it is imported
    from ray.exceptions import RayError

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, num_cpus=settings.cpus, include_dashboard=False, logging_level="ERROR")
        else:
            _check_reachable(address)
            ray.init(address=address, logging_level="ERROR")
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        raise ClusterError(f"The Ray cluster at '{address}' can't be reached: {error}") from error
    finally:
        for number, handler in ours.items():  # importing Ray puts a handler of its own on SIGTERM
            signal.signal(number, handler)
    try:
        if address != LOCAL:
            _check(settings)
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries for more than a minute, with lines of its own, before it gives up."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        return  # `auto`, or a kind of address that Ray looks up itself
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"The Ray cluster at '{address}' can't be reached ({error}); "
            f"give the address that `ray start --head` printed, or leave it out for a local Ray."
        ) from error


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
