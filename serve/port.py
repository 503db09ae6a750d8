"""The port that the service listens on."""

import errno
import socket

from imgcls_ray.errors import SettingsError


def free_port(host: str, port: int) -> int:
    """`port` if it can be bound on `host`, or any free one for 0.

    Raises:
        SettingsError: it is taken, needs more rights, or `host` is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As uvicorn does: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"Port {port} on {host} is in use; choose another with --port, or 0 for any."
            ) from error
        if error.errno == errno.EACCES:
            raise SettingsError(f"Port {port} needs more rights than you have; choose one above 1023.") from error
        reason = error.strerror or str(error)
        raise SettingsError(
            f"The service can't listen on {host}:{port} ({reason}); --host is an address of this machine."
        ) from error
    except OverflowError as error:
        raise SettingsError(f"A port is 0 to 65535; received {port}.") from error
