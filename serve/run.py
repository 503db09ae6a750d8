"""The service in the foreground: checks first, then Ray, then requests until Ctrl-C."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from imgcls_ray.errors import ClusterError, ModelError
from serve.port import free_port
from serve.settings import ServeSettings

_APPLICATION = "imgcls"
_CONTROLLER = "SERVE_CONTROLLER_ACTOR"


@dataclass(frozen=True)
class Running:
    """A service that takes requests."""

    url: str
    """Without a slash at its end."""
    model: str
    """What was asked for."""
    bundle: Path
    """What answers."""


class _Stopped(BaseException):
    """SIGINT or SIGTERM; like KeyboardInterrupt, nothing in between may catch it as an error."""


def run(
    settings: ServeSettings,
    on_ready: Callable[[Running], None],
    host: str = "127.0.0.1",
    port: int = 8000,
    address: str | None = None,
    request_timeout: float = 60.0,
) -> None:
    """Serve `settings.model` on `host`:`port` until Ctrl-C or SIGTERM, then stop everything that was started here.

    `port` 0 takes any free one. `address` is the Ray cluster to join; by default RAY_ADDRESS, else a Ray of its own is
    started that listens on loopback only. `on_ready` is called once, when requests are answered.

    Raises:
        SettingsError: the port is taken or the host is not one of this machine's.
        ModelError: there is no such bundle, or it fails its checks. Nothing has been started then.
        ClusterError: the cluster can't be joined, is too small, or runs Ray Serve already.
    """
    from serve.loading import locate

    address = address or os.environ.get("RAY_ADDRESS") or "local"
    port = free_port(host, port) if address == "local" else port
    bundle = locate(settings)
    check(bundle)
    try:
        with _signals_stop(), _ray(address, settings):
            _start(settings.model_copy(update={"model": str(bundle)}), host, port, request_timeout)
            shown = f"[{host}]" if ":" in host else host
            on_ready(Running(f"http://{shown}:{port}", settings.model, bundle))
            threading.Event().wait()
    except _Stopped:
        return


def check(bundle: Path) -> None:
    """Cheap checks of a bundle's files, so that a bad one is told before Ray starts.

    Raises:
        ModelError: a file is missing or differs from its checksum.
    """
    from imgcls_ray.bundle.checksums import verify

    verify(bundle)


@contextmanager
def _signals_stop() -> Iterator[None]:
    """SIGINT and SIGTERM stop the service once; those that follow while it stops are ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ray(address: str, settings: ServeSettings) -> Iterator[None]:
    """Ray joined or started, and left or stopped at the end. Serve, started in between, is stopped as well."""
    if address == "local":
        # Ray reads this when it is imported: with it a local Ray takes 127.0.0.1 as the node's address and binds every
        # port to loopback; without it gcs_server, raylet and workers listen on all interfaces.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_DISABLE_WORKER_LOG_PREFIX", "1")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    import ray
    from ray import serve
    from ray.exceptions import RayError

    try:
        if address == "local":
            cpus = max(settings.cpus, 1)
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, logging_level="ERROR")
        else:
            ray.init(address=address, logging_level="ERROR")
    except (ConnectionError, RayError, ValueError, RuntimeError) as error:
        raise ClusterError(f"The Ray cluster at '{address}' can't be reached: {error}") from error
    finally:
        for number, handler in handlers.items():  # ray.init puts its own handler for SIGTERM in
            signal.signal(number, handler)
    try:
        if address != "local":
            _check_cluster(settings)
        try:
            yield
        finally:
            serve.shutdown()
    finally:
        ray.shutdown()


def _check_cluster(settings: ServeSettings) -> None:
    import ray

    try:
        ray.get_actor(_CONTROLLER, namespace="serve")
    except ValueError:
        pass
    else:
        raise ClusterError("This cluster runs Ray Serve already; add the model to it with: serve deploy serve/config.yaml")
    free = ray.available_resources()
    for name, needed in (("CPU", settings.cpus), ("GPU", settings.gpus)):
        if free.get(name, 0.0) < needed:
            raise ClusterError(
                f"The service needs {needed:g} free {name} on the cluster; {free.get(name, 0.0):g} are free; "
                f"wait for other work to end or lower --cpus."
            )


def _start(settings: ServeSettings, host: str, port: int, request_timeout: float) -> None:
    from ray import serve
    from ray.serve.config import HTTPOptions

    from serve.deployment import build

    quiet = {"log_level": "WARNING", "enable_access_log": False}
    serve.start(
        proxy_location="HeadOnly",
        http_options=HTTPOptions(host=host, port=port, request_timeout_s=request_timeout),
        logging_config=quiet,
    )
    try:
        serve.run(build(settings), name=_APPLICATION, route_prefix="/", logging_config=quiet)
    except RuntimeError as error:
        raise ModelError(f"The model '{settings.model}' can't be served; the log above says why.") from error
