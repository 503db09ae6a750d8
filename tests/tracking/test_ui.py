"""MLflow's server runs on loopback only, ends with Ctrl-C, and is refused with a sentence where it can't run."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from imgcls_ray.config import TrackingSettings
from imgcls_ray.errors import SettingsError, StorageError
from imgcls_ray.tracking.tracker import Tracker
from imgcls_ray.tracking.ui import serve_ui

from .conftest import outcome, tell_study

RUN = """
import sys; from pathlib import Path; from imgcls_ray.tracking.ui import serve_ui
serve_ui(Path(sys.argv[1]), port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
print("ended")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening() -> set[tuple[str, int]]:
    """(address in hex, port) of every listening TCP socket of this machine."""
    found = set()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(file).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A":
                host, _, port = address.partition(":")
                found.add((host, int(port, 16)))
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux' table of sockets")
def test_the_ui_shows_the_studies_on_loopback_until_ctrl_c(storage: Path) -> None:
    with Tracker(storage, TrackingSettings()) as tracker:
        tell_study(tracker.listener(), (outcome(0, 0.5),))
    port = free_port()
    command = [sys.executable, "-c", RUN, str(storage), str(port)]
    ui = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert ui.stdout is not None
        url = ui.stdout.readline().strip()
        assert url == f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning"
        search = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search",
            json.dumps({"experiment_ids": ["1"]}).encode(),
            {"Content-Type": "application/json"},
        )
        runs = json.load(urllib.request.urlopen(search))["runs"]
        assert {run["info"]["run_name"] for run in runs} == {"pets-1", "trial-000"}
        assert {host for host, number in listening() if number == port} == {"0100007F"}
    finally:
        ui.send_signal(signal.SIGINT)
        out, err = ui.communicate(timeout=30)
    assert (ui.returncode, out) == (0, "ended\n")
    assert "Traceback" not in err
    assert "Security middleware" not in err
    deadline = time.monotonic() + 10
    while ("0100007F", port) in listening() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ("0100007F", port) not in listening()


def test_a_busy_port_is_told(storage: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SettingsError, match="--port"):
            serve_ui(storage, port=other.getsockname()[1])


def test_a_port_that_is_none_is_told(storage: Path) -> None:
    with pytest.raises(SettingsError, match="from 1 to 65535"):
        serve_ui(storage, port=70_000)


def test_without_runs_it_names_the_command_that_makes_some(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="imgcls run"):
        serve_ui(tmp_path, port=free_port())
    assert list(tmp_path.iterdir()) == []


def test_other_interfaces_are_refused(storage: Path) -> None:
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1 only"):
        serve_ui(storage, host="0.0.0.0", port=free_port())  # noqa: S104 - it is refused


def test_a_server_shows_its_own_pages(storage: Path) -> None:
    with pytest.raises(SettingsError, match="open http://tracking:5000"):
        serve_ui(storage, "http://tracking:5000")
