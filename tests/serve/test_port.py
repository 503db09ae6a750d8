import socket

import pytest

from imgcls_ray.errors import SettingsError
from serve.port import free_port


def test_zero_takes_a_free_port() -> None:
    port = free_port("127.0.0.1", 0)
    assert port > 0
    assert free_port("127.0.0.1", port) == port


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} on 127.0.0.1 is in use; choose another with --port"):
            free_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no host"])
def test_a_foreign_host_is_told(host: str) -> None:
    with pytest.raises(SettingsError, match="--host is an address of this machine"):
        free_port(host, 0)
