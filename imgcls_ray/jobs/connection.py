"""Joining a Ray cluster, or starting a local one for the length of a command."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from imgcls_ray import quiet
from imgcls_ray.errors import ClusterError
from imgcls_ray.jobs.folder import leave, left
from imgcls_ray.jobs.handlers import Handlers
from imgcls_ray.jobs.loopback import on_loopback
from imgcls_ray.jobs.reach import check_reachable

LOCAL = "local"
"""The address that means a Ray of our own."""

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it for the entrypoint of a job, with the job's settings in it."""


def inside_job() -> bool:
    """Whether this process is the entrypoint of a submitted Ray job."""
    return _JOB in os.environ


def address_of(address: str | None = None) -> str:
    """Where Ray is looked for: `address`, else RAY_ADDRESS, else `local`."""
    return address or os.environ.get("RAY_ADDRESS") or LOCAL


@contextmanager
def cluster(address: str | None = None, cpus: int | None = None, logs: bool = False) -> Iterator[None]:
    """Ray for the length of the block: the cluster at `address` or RAY_ADDRESS, else one started here, on loopback.

    A Ray that this process has started or joined before is used as it is, and stays.
    Without an address `ray.init` would join whatever cluster runs on this machine; here it never does.
    `cpus` are those of a local Ray, by default all of the machine. With `logs` the workers' lines come to the terminal.
    Inside a job the working folder is the system's temporary one meanwhile: let paths be absolute before.
    SIGTERM acts as Ctrl-C inside the block, unless the program handles it.

    Raises:
        ClusterError: the cluster can't be reached, or a local one can't be started.
    """
    quiet.set_environment()
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with Handlers() as handlers:
        import ray

        if ray.is_initialized():
            yield
            return
        target = address_of(address)
        with on_loopback() if target == LOCAL else nullcontext(), left() if inside_job() else nullcontext():
            _connect(target, cpus, logs)
            handlers.put_back()
            try:
                yield
            finally:
                ray.shutdown()


def _connect(target: str, cpus: int | None, logs: bool) -> None:
    import ray
    from ray.exceptions import RayError

    if target == LOCAL:
        options: dict[str, Any] = {"include_dashboard": False, "num_cpus": cpus}
        what = "A local Ray can't be started"
    else:
        check_reachable(target)
        options = {"runtime_env": _runtime_env()}
        what = f"The Ray cluster at '{target}' can't be joined"
    try:
        ray.init(address=target, log_to_driver=logs, logging_level=logging.ERROR, **options)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(f"{what}: {lines[0].rstrip('.')}.") from error


def _runtime_env() -> dict[str, Any]:
    """What a cluster's workers are told; those of a local Ray inherit our environment.

    What the job was submitted with stays: Ray refuses a second value.
    """
    job = json.loads(os.environ.get(_JOB) or "{}").get("runtime_env") or {}
    given = job.get("env_vars") or {}
    ours: dict[str, Any] = {"env_vars": {name: text for name, text in quiet.SETTINGS.items() if name not in given}}
    if inside_job() and "worker_process_setup_hook" not in job:
        ours["worker_process_setup_hook"] = f"{leave.__module__}.{leave.__qualname__}"
    return ours
