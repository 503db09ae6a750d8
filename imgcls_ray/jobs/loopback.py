"""Keeping a local Ray off the network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray has this for systems whose firewall asks about every port, hence the name; "0" works on Linux as well."""


@contextmanager
def on_loopback() -> Iterator[None]:
    """A Ray that is started inside the block takes 127.0.0.1 as its node's address and binds its ports there.

    Otherwise its head, its node and its workers listen on all interfaces of the machine. The block must last as long as
    that Ray; afterwards all is as before, because a cluster can't be joined from loopback. A value that the user has
    set stays.
    """
    if VARIABLE in os.environ:
        yield
        return
    # Imported first, so that it reads what holds without the variable, which is for the processes that Ray starts.
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    os.environ[VARIABLE], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[VARIABLE]
