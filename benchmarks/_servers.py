"""Servers as processes of their own, on loopback: `imgcls serve`, and the rivals in _rivals/."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_RIVALS = Path(__file__).parent / "_rivals"
_QUIET = ("--no-access-log", "--log-level", "warning", "--host", "127.0.0.1", "--port")
_ONE = ("uvicorn", *_QUIET)
_UVICORN = ("uvicorn", "--workers", "2", *_QUIET)
_IMGCLS = "from imgcls_ray.cli import main; main()"
_BENTO = ("bentoml", "serve", "bento:Classifier", "--quiet", "--host", "127.0.0.1", "--port")


@dataclass(frozen=True)
class Rival:
    """What is run beside ours."""

    name: str
    package: str
    """What has to be installed for it."""
    command: tuple[str, ...]
    """After the interpreter; `PORT` stands for the port."""


PREDICT = Rival("FastAPI + model.predict", "uvicorn", ("-m", *_UVICORN, "PORT", "predicting:app"))
FUNCTION = Rival("FastAPI + tf.function", "uvicorn", ("-m", *_UVICORN, "PORT", "tracing:app"))
LIT = Rival("LitServe", "litserve", ("lit.py",))
BENTO = Rival("BentoML", "bentoml", ("-m", *_BENTO, "PORT"))
BARE = Rival("bare uvicorn", "uvicorn", ("-m", *_ONE, "PORT", "--lifespan", "off", "bare:app"))
"""No rival but a limit; it needs the project installed."""


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    url: str
    process: psutil.Process
    _known: dict[int, float] = field(default_factory=dict)
    """CPU seconds by process: those of one that has ended still count."""

    def processes(self) -> list[psutil.Process]:
        """The process that was started and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of CPU, user and system, that all of them have taken so far."""
        for each in self.processes():
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue  # it has ended
            self._known[each.pid] = times.user + times.system
        return sum(self._known.values())


def installed(rival: Rival, python: str) -> bool:
    """Whether the interpreter `python` has what the rival needs."""
    if python == sys.executable:
        return importlib.util.find_spec(rival.package) is not None
    return subprocess.run([python, "-c", f"import {rival.package}"], capture_output=True).returncode == 0


@contextmanager
def ours(bundle: Path, options: list[str]) -> Iterator[Server]:
    """`imgcls serve` with the bundle, as a user starts it."""
    command = [sys.executable, "-c", _IMGCLS, "serve", "--model", str(bundle), "--port", "0", "--json"]
    with _started([*command, *options], dict(os.environ), stdout=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise RuntimeError(f"`imgcls serve` ended with {process.wait()} before it answered; what it said is above.")
        yield Server(json.loads(line)["url"], psutil.Process(process.pid))


@contextmanager
def rival(which: Rival, model: Path, python: str) -> Iterator[Server]:
    """A rival with the Keras model `model`, once it takes connections; its first answers are for the warm-up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [python, *(port if part == "PORT" else part for part in which.command)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "BENTOML_DO_NOT_TRACK": "true"}
    environment = dict(os.environ) | quiet | {"MODEL": str(model), "PORT": port}
    with _started(command, environment, _RIVALS) as process:
        _wait(process, int(port), which.name)
        yield Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))


def _wait(process: "subprocess.Popen[bytes]", port: int, name: str) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode} before it answered; what it said is above.")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{name} took no connection within 180 s.")


@contextmanager
def _started(
    command: list[str], environment: dict[str, str], folder: Path | None = None, stdout: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, env=environment, stdout=stdout, cwd=folder)
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM; and what it started is ended too, should some of it be left."""
    left = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
    for each in left:  # started by it, so by us; most have ended with it
        if each.is_running():
            each.kill()
