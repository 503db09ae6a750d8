"""MLflow's own web pages over what the runs wrote."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from imgcls_ray.errors import ClusterError, SettingsError
from imgcls_ray.tracking.client import EXPERIMENT, connect
from imgcls_ray.tracking.location import ARTIFACTS, is_server, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOOPBACK = ("127.0.0.1", "localhost")
START_SECONDS = 120.0
_GUARD = b"[MLflow] Security middleware"
_LAST_LINES_SECONDS = 5.0


def serve_ui(
    storage: Path,
    uri: str | None = None,
    host: str = "127.0.0.1",
    port: int = 5000,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Run MLflow's server in the foreground until Ctrl-C or SIGTERM; `ready(address)` is called once it answers.

    It has one worker, no job runner, reports nothing to anyone and listens on the loopback interface only: it knows no
    users, so whoever reaches it could change and delete runs.

    Raises:
        SettingsError: `uri` is a server itself, `host` is not loopback, or the port is taken.
        StorageError: nothing is recorded there yet, or the database can't be read.
        ClusterError: the server ended by itself or did not start.
    """
    address = resolve_uri(storage, uri)
    if is_server(address):
        raise SettingsError(f"A tracking server shows its own pages: open {address} in a browser.")
    if host not in LOOPBACK:
        raise SettingsError(
            f"MLflow's UI knows no users, so it listens on 127.0.0.1 only; received --host {host!r}; "
            f"from another machine use `ssh -L {port}:127.0.0.1:{port}`."
        )
    _check_port(port)
    client = connect(address, create=False)  # tells in a sentence what the server would tell in a traceback
    page = runs_page(client)
    url = f"http://127.0.0.1:{port}"
    # A session of its own: Ctrl-C in a terminal would else reach each of MLflow's processes, some twice.
    server = subprocess.Popen(
        _command(port),
        env=_environment(address, storage),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with _stopping() as stopped, _told(server):
        _wait_ready(server, url, stopped)
        if ready is not None and not stopped.is_set():
            ready(f"{url}/{page}")
        while server.poll() is None and not stopped.wait(0.2):
            continue
        if not stopped.is_set():
            raise ClusterError(f"MLflow's server ended with code {server.returncode}; its last lines say why.")


def runs_page(client: "MlflowClient") -> str:
    """The part of the address, after the host, that shows the studies; without it MLflow opens on language models."""
    known = client.get_experiment_by_name(EXPERIMENT)
    return f"#/experiments/{known.experiment_id}/runs?workflowType=machine_learning" if known else ""


def _command(port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    return [sys.executable, "-m", "mlflow", "server", *options]


def _environment(address: str, storage: Path) -> dict[str, str]:
    # By environment and not by flag: a database's address may hold a password, and flags are seen by everyone.
    return os.environ | {
        "MLFLOW_BACKEND_STORE_URI": address,
        "MLFLOW_REGISTRY_STORE_URI": address,
        "MLFLOW_ARTIFACTS_DESTINATION": str(storage.absolute() / ARTIFACTS),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # queues for language-model judges: nothing here needs them
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A web page of someone else can't reach it under a name of its own (DNS rebinding).
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost,localhost:*,127.0.0.1,127.0.0.1:*",
        "PYTHONWARNINGS": "ignore",  # MLflow's own deprecations are not the user's to mend
    }


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "a port is a number from 1 to 65535"
            raise SettingsError(f"Port {port} can't be used ({reason}); choose another one with --port.") from error


def _wait_ready(server: "subprocess.Popen[bytes]", url: str, stopped: threading.Event) -> None:
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and not stopped.wait(0.2):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=2).close()  # noqa: S310 - our own loopback address
            return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                raise ClusterError(
                    f"MLflow's server did not answer at {url} in {START_SECONDS:.0f} s: {error}"
                ) from error


@contextmanager
def _told(server: "subprocess.Popen[bytes]") -> Iterator[None]:
    """What MLflow prints goes to stderr, but for the line on its guard, which is at work as `_environment` says."""

    def tell(lines: Iterable[bytes]) -> None:
        for line in lines:
            if not line.startswith(_GUARD):
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()

    reader = threading.Thread(target=tell, args=(server.stdout or (),), daemon=True)
    reader.start()
    try:
        yield
    finally:
        _end(server)
        reader.join(_LAST_LINES_SECONDS)
        if server.stdout and not reader.is_alive():
            server.stdout.close()


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; at the end the old handlers are back."""
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is None:
        server.terminate()  # MLflow hands it on to its web server, which finishes open requests
        try:
            server.wait(8)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
