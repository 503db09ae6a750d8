"""A Ray cluster of two nodes with one CPU each, on this machine, beside whatever else runs there."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import naming

BIN = Path(sys.executable).parent
RAY = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
START_SECONDS = 180


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system hands out by itself and above Ray's workers'."""
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found


@dataclass
class TwoNodes:
    """A head and a second node; everything of theirs is below `root`."""

    root: Path
    address: str
    """The head, as `ray start --head` prints it."""
    api: str
    """Where jobs are submitted."""
    environment: dict[str, str]
    """Of whoever may use the cluster: it has the token."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *options: str) -> None:
        """`ray start` in the foreground of a process of ours, so that it can be ended without `ray stop`."""
        log = (self.root / f"node{len(self.processes)}.log").open("wb")
        ports = ["--min-worker-port=0", "--max-worker-port=0"]  # any, so that they meet nobody else's
        words = ["start", "--block", "--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats", *ports]
        with log:
            self.processes.append(
                subprocess.Popen([*RAY, *words, *options], stdout=log, stderr=log, env=self.environment, cwd=self.root)
            )

    def get(self, path: str) -> Any:
        """An answer of the head's state API."""
        headers = {"Authorization": f"Bearer {(self.root / 'token').read_text()}"}
        answer = httpx.get(f"{self.api}/api/v0/{path}?detail=1&limit=1000", headers=headers, timeout=20)
        answer.raise_for_status()
        return answer.json()["data"]["result"]["result"]

    def wait_for_nodes(self, count: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if sum(node["state"] == "ALIVE" for node in self.get("nodes")) == count:
                    return
            except httpx.HTTPError:
                pass  # it is starting
            time.sleep(0.3)
        logs = "\n".join(path.read_text() for path in sorted(self.root.glob("node*.log")))
        raise AssertionError(f"{count} nodes were not there in time:\n{logs}")

    def run(self, *words: str, timeout: float = 120, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run a command with the cluster's environment; a variable that is None is not set."""
        environment = {name: value for name, value in (self.environment | variables).items() if value is not None}
        return subprocess.run(
            words, capture_output=True, text=True, env=environment, timeout=timeout, cwd=self.root / "work"
        )

    def stop(self) -> None:
        """End our own processes, the node before the head, and whatever of theirs is left."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(5)  # a node drains for up to 30 seconds
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in naming(f"{self.root}/"):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    # A short path: Ray's sockets lie below it, and a socket's path has at most 107 characters.
    root = Path(tempfile.mkdtemp(prefix="imgcls-"))
    (root / "token").write_text(secrets.token_hex(32))
    (root / "work").mkdir()
    gcs, api, client, *agents = free_ports(5)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TF_"))}
    cluster = TwoNodes(
        root,
        address=f"127.0.0.1:{gcs}",
        api=f"http://127.0.0.1:{api}",
        environment=inherited
        | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(root / "token"),
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{api}",
        },
    )
    try:
        cluster.start(
            "--head",
            f"--port={gcs}",
            f"--dashboard-port={api}",
            f"--ray-client-server-port={client}",
            f"--dashboard-agent-listen-port={agents[0]}",
            f"--temp-dir={root}/ray",
        )
        cluster.wait_for_nodes(1)
        cluster.start(f"--address={cluster.address}", f"--dashboard-agent-listen-port={agents[1]}")
        cluster.wait_for_nodes(2)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)
