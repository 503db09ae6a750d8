"""A cluster that does not answer is told in seconds, in a sentence."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from imgcls_ray.cli import main
from imgcls_ray.errors import ClusterError
from imgcls_ray.jobs import reach
from imgcls_ray.jobs.reach import check_reachable
from tests.jobs.conftest import free_ports


@pytest.mark.parametrize(
    "address", ["somewhere", "host:", ":6379", "host:many", "host:99999", "http://host:8265", "ray://host:10001"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(ClusterError, match=f"HOST:PORT.*received '{address}'"):
        check_reachable(address)


def test_auto_is_left_to_ray() -> None:
    check_reachable("auto")


def told(address: str) -> tuple[str, float]:
    started = time.monotonic()
    with pytest.raises(ClusterError) as error:
        check_reachable(address)
    return str(error.value), time.monotonic() - started


def test_a_port_that_nobody_listens_on() -> None:
    sentence, seconds = told(f"127.0.0.1:{free_ports(1)[0]}")
    assert "can't be reached (nothing answers there)" in sentence
    assert seconds < 5


def test_a_port_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        sentence, seconds = told(f"127.0.0.1:{silent.getsockname()[1]}")
    assert "can't be reached (no answer within 1 seconds)" in sentence
    assert seconds < 10


@pytest.fixture
def web_server() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_port_of_something_else(web_server: int, capfd: pytest.CaptureFixture[str]) -> None:
    sentence, seconds = told(f"127.0.0.1:{web_server}")
    assert "can't be reached" in sentence
    assert seconds < 6


@pytest.mark.parametrize("way", ["--address", "RAY_ADDRESS"])
def test_the_command_ends_with_the_sentence(
    way: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    words = ["imgcls", "run", str(pictures), "--storage", str(tmp_path / "runs"), "--backbone", "cnn"]
    if way == "RAY_ADDRESS":
        monkeypatch.setenv("RAY_ADDRESS", address)
    else:
        words += ["--address", address]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith(f"imgcls: The Ray cluster at '{address}' can't be reached")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
