"""A folder in which the pages' blocks are run as a reader would: one after another, in one terminal."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import write_tree
from tests.docs.blocks import Block, blocks
from tests.docs.warm import Warm

SERVERS = {"imgcls serve": 8000, "imgcls ui": 5000}
"""Commands that stay in the foreground, and the port each takes by default."""
START_SECONDS = 120.0
BLOCK_SECONDS = 240.0


class Workshop:
    """Made-up pictures, a storage, and what was run so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_tree(folder / "made-up")
        for number, name in enumerate(("daisy", "rose", "tulip")):
            (folder / "flowers").mkdir(exist_ok=True)
            (folder / "made-up" / f"class{number}").rename(folder / "flowers" / name)
        (folder / "rose.jpg").write_bytes((folder / "flowers" / "rose" / "0.png").read_bytes())
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "IMGCLS_"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = kept | {"DATA": str(folder / "flowers"), "PATH": path, "PYTHONUNBUFFERED": "1"}
        self._warm = Warm(folder, self._environment)
        self._server: subprocess.Popen[bytes] | None = None
        self._port = (0, 0)
        self._done: set[str] = set()

    def close(self) -> None:
        """End what still runs."""
        self._warm.stop()

    def run_page(self, page: Path, python: bool = True) -> None:
        """Run a page: files and shell blocks in their order, then, if wanted, its Python blocks as one
        program.

        A `yaml` block that begins with `# NAME.yaml` is written to that file; a `json` block has the form of what the
        block above it printed; a server runs until the next block that is no `curl`; what ran before, word for word,
        is not run again. Servers are programs of their own; all else runs in one, see warm.py.
        """
        answer = ""
        found = [block for block in blocks(page) if block.not_run is None]
        try:
            for block in found:
                match block.language:
                    case "yaml":
                        self._write(block)
                    case "sh" if block.text not in self._done:
                        answer = self._shell(block)
                        self._done.add(block.text)
                    case "json" if answer:
                        check_form(json.loads(block.text), json.loads(answer.splitlines()[-1]), block.place)
                        answer = ""
        finally:
            self._stop_server()
        program = "".join("\n" * 2 + block.small for block in found if block.language == "python")
        if python and program:
            self._warm.start()
            self._call([str(self._warm.bin / "page"), program], f"{page.name}, Python")

    def _write(self, block: Block) -> None:
        name = re.match(r"# ([\w-]+\.yaml)\n", block.text)
        if name:
            (self.folder / name[1]).write_text(block.small, encoding="utf-8")

    def _shell(self, block: Block) -> str:
        command = block.small
        if self._server and command.startswith("curl"):
            return self._call(
                ["bash", "-euc", command.replace(f":{self._port[0]}/", f":{self._port[1]}/")], block.place
            )
        self._stop_server()
        server = next((server for server in SERVERS if command.startswith(server)), None)
        if server is None:
            self._warm.start()
            return self._call(["bash", "-euo", "pipefail", "-c", command], block.place, self._warm.bin)
        self._start_server(command.strip(), SERVERS[server], block.place)
        return ""

    def _call(self, command: list[str], place: str, first: Path | None = None) -> str:
        """What a command prints; programs are looked for in `first`, if given, before all others."""
        path = f"{first}{os.pathsep}" * bool(first) + self._environment["PATH"]
        environment = {**self._environment, "PATH": path}
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=BLOCK_SECONDS
            )
        except subprocess.TimeoutExpired:
            self._warm.stop()  # the next block gets another one
            raise
        said = done.stdout[-2000:] + done.stderr[-4000:]
        assert done.returncode == 0, f"{place} ended with {done.returncode}:\n{said}"
        return done.stdout

    def _start_server(self, command: str, port: int, place: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = port, probe.getsockname()[1]
        log = self.folder / "server.log"
        with log.open("wb") as file:
            self._server = subprocess.Popen(
                ["bash", "-euc", f"exec {command} --port {self._port[1]}"],
                cwd=self.folder,
                env=self._environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while f"http://127.0.0.1:{self._port[1]}" not in log.read_text(errors="replace"):
            assert self._server.poll() is None and time.monotonic() < end, f"{place}:\n{log.read_text()[-4000:]}"
            time.sleep(0.2)

    def _stop_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0, (self.folder / "server.log").read_text()[-4000:]


def check_form(shown: Any, printed: Any, place: str) -> None:
    """The page's JSON has the kinds of values that the program printed, and at the top all of its names."""
    if isinstance(shown, dict) and isinstance(printed, dict):
        assert shown.keys() == printed.keys(), f"{place}: the page shows {set(shown)}, printed was {set(printed)}"
    _check_kinds(shown, printed, place)


def _check_kinds(shown: Any, printed: Any, place: str) -> None:
    if isinstance(shown, dict):
        assert isinstance(printed, dict), place
        for name, value in shown.items():
            assert name in printed, f"{place}: nothing printed is called {name}, but {set(printed)}"
            _check_kinds(value, printed[name], f"{place}: {name}")
    elif isinstance(shown, list):
        assert isinstance(printed, list) and printed, place
        _check_kinds(shown[0], printed[0], place)
    else:
        assert type(shown) is type(printed), f"{place}: shown is {shown!r}, printed was {printed!r}"
