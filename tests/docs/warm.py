"""One program, started once, in which a page's commands and Python run one after another.

As a program of its own each would load Ray and TensorFlow and start a Ray anew, which takes longer than what it does.
In the place of `imgcls` stands a script that hands its words, its folder and its streams to that program, and another
one, `page`, hands it a page's Python.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as program:
    program.connect({address!r})
    socket.send_fds(program, [json.dumps([os.getcwd(), *sys.argv]).encode()], [1, 2])
    sys.exit(int(program.recv(16)))
"""


class Warm:
    """The program, with its script in `folder`; it is started in `folder` when `start` is called."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.bin = folder / "bin"
        self._folder, self._environment = folder, environment
        self._program: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._program:
            return
        address = str(self.bin / "socket")
        self.bin.mkdir(exist_ok=True)
        Path(address).unlink(missing_ok=True)
        for name in ("imgcls", "page"):
            script = self.bin / name
            script.write_text(SCRIPT.format(python=sys.executable, address=address))
            script.chmod(0o755)
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.warm", address, str(self._folder)],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._program.stdout
        assert self._program.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """End it and its Ray as Ctrl-C does."""
        program, self._program = self._program, None
        if program is None or program.stdout is None:
            return
        program.send_signal(signal.SIGINT)
        try:
            assert program.wait(60) == 0
        finally:
            program.stdout.close()
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()


def serve(address: str, folder: str) -> None:
    """Run what the script sends, in Ray's own folder `folder`, until Ctrl-C."""
    from imgcls_ray.jobs.connection import LOCAL, cluster

    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener, suppress(KeyboardInterrupt), cluster(LOCAL):
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                sent, streams, _, _ = socket.recv_fds(connection, 65536, 2)
                code = _run(json.loads(sent), streams)
                with suppress(BrokenPipeError):  # who asked has given up
                    connection.sendall(str(code).encode())


def _run(words: list[str], streams: list[int]) -> int:
    """The exit code of the script WORDS[1] with the words after it, in the folder WORDS[0]; it prints to `streams`."""
    from imgcls_ray.cli import main

    ours = [os.dup(1), os.dup(2)]
    os.chdir(words[0])
    sys.argv = [Path(words[1]).name, *words[2:]]
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    try:
        with open(1, "w", closefd=False) as sys.stdout, open(2, "w", closefd=False) as sys.stderr:
            return _ended(main if sys.argv[0] == "imgcls" else _page)
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        for number, stream in enumerate(ours, 1):
            os.dup2(stream, number)
            os.close(stream)


def _page() -> None:
    exec(compile(sys.argv[1], "page", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own pages


def _ended(main: Callable[[], None]) -> int:
    """The exit code that `main` would give a program of its own."""
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception:  # noqa: BLE001 - whatever it is: the next command runs
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(*sys.argv[1:])
