"""How Ray Serve is told what stands before the replicas: environment variables, read when its processes start."""

import os
import resource
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve.ingress import chatter, front

_LONGEST = 30
"""Characters of the folder's path: a socket's has 107 at the most, Ray adds a name of 56 and HAProxy its process id."""
_MAX_CONNECTIONS = 2048
_BUFFER = 65_536
"""Bytes of a request that HAProxy holds before it asks a replica, and can send to another one; at the most twice for
each connection, so 256 MB."""
RETRY_ON = "conn-failure empty-response"
_SECONDS_TO_SEND = 10
"""For a request's headers and the first 64 kB of its body; later, the longest pause."""
_SECONDS_TO_LEAVE = 1.0
"""A replica that ends answers new requests for so long, while HAProxy learns of it; Ray's 30 is for many nodes."""


@contextmanager
def plain_environment() -> Iterator[None]:
    """Ray Serve's own proxy, for the Ray that is started in the block."""
    # uvicorn believes X-Forwarded-For from loopback by default: any local client could claim an address.
    with _variables({"RAY_SERVE_ENABLE_HA_PROXY": "0", "FORWARDED_ALLOW_IPS": "", **_COMMON}):
        yield


@contextmanager
def haproxy_environment(binary: Path, bind: str, spare_port: int, request_timeout: float, most: int) -> Iterator[None]:
    """HAProxy on `bind` (`address:port`), for the Ray that is started in the block, with files of its own.

    Serve's `http_options` have loopback as the host: they say where the replicas listen. `spare_port` is for the proxy
    of Serve's own that HAProxy asks where no replica is up. A replica gets at most `most` requests at a time.
    """
    folder = _private_folder()
    try:
        start = folder / "haproxy"
        words = [str(binary), bind, str(_SECONDS_TO_SEND), str(most)]
        command = [sys.executable, "-P", "-m", "serve.ingress.wrapper", *words]
        start.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        start.chmod(0o700)
        with _variables({**_COMMON, **_haproxy(folder, start, spare_port, request_timeout)}):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_COMMON = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": front.CALLBACK,
    # The application never holds up its event loop, so it needs none of its own: each part of a request and of its
    # answer would go from one thread to another and back.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    # A replica that loads TensorFlow to draw its first heat map does not tell within Serve's 0.1 s how much it has to
    # do, and Serve warns of it on the user's terminal.
    "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1",
}


def _haproxy(folder: Path, start: Path, spare_port: int, request_timeout: float) -> dict[str, str]:
    longest = int(request_timeout) + 1
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH": chatter.CALLBACK,
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(start),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "s"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m"),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first := _first_port()),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + 1_000),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(spare_port),
        # To classify twice does no harm: a replica that ended is made good by another, where the body is a small one.
        "RAY_SERVE_HAPROXY_RETRY_ON": RETRY_ON,
        "RAY_SERVE_HAPROXY_RETRIES": "2",
        # The service has its own figures; Ray's would cost a datagram for each request.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # One thread of HAProxy does some ten thousand requests a second; the model needs the cores.
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, 1 + (os.cpu_count() or 1) // 16)),
        "RAY_SERVE_HAPROXY_MAXCONN": str(_connections()),
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(_BUFFER),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(_SECONDS_TO_SEND),
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": str(longest + 5),  # the replica gives up before it, with its own answer
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(longest + 10),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(_SECONDS_TO_LEAVE),
        "FORWARDED_ALLOW_IPS": "127.0.0.1,::1",  # HAProxy, which says where a connection came from
    }


def _private_folder() -> Path:
    """A new folder for this user only, with a path that is short enough for the sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="imgcls-"))
    if len(str(folder)) <= _LONGEST:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="imgcls-", dir="/tmp"))


def _first_port() -> int:
    """Of the replicas, below those that the system gives away: each service begins elsewhere, since Serve tells the
    user of each port that it finds taken."""
    return 20_000 + 50 * secrets.randbelow(200)


def _connections() -> int:
    """HAProxy needs two files for a connection, and does not start where it may not open so many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if most == resource.RLIM_INFINITY else max(64, min(_MAX_CONNECTIONS, (most - 200) // 2))


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
