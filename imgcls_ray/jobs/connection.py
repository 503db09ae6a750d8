"""Joining a Ray cluster, or starting a local one for the length of a command."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from imgcls_ray import quiet
from imgcls_ray.errors import ClusterError


def inside_job() -> bool:
    """Whether this process is the entrypoint of a submitted Ray job."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


@contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """Ray for the length of the block: the cluster at `address` or RAY_ADDRESS, else one started here.

    A Ray that this process has started or joined before is used as it is, and stays.
    Without an address `ray.init` would join whatever cluster runs on this machine; here it never does.

    Raises:
        ClusterError: the cluster can't be reached.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    target = address or os.environ.get("RAY_ADDRESS") or "local"
    quiet.set_environment()
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Workers of a local Ray inherit our environment; a cluster's are told.
    options = {"include_dashboard": False} if target == "local" else {"runtime_env": {"env_vars": quiet.SETTINGS}}
    try:
        ray.init(address=target, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClusterError(
            f"The Ray cluster at '{target}' can't be reached: {first} "
            "Start one with 'ray start --head', or leave --address and RAY_ADDRESS out for a local one."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
