"""The service in the foreground: checks first, then Ray, then requests until Ctrl-C."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from imgcls_ray.errors import ClusterError, ModelError, SettingsError
from imgcls_ray.jobs.connection import LOCAL, address_of
from serve.cluster import ray_at
from serve.guard.keys import VARIABLE, ApiKeys
from serve.port import free_port
from serve.record.keeping import make_folders
from serve.settings import ServeSettings

_APPLICATION = "imgcls"


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
    started that listens on loopback only. `request_timeout` is in seconds, from a request's first byte to its answer.
    `on_ready` is called once, when requests are answered. Call it from the main thread: it handles signals.

    Raises:
        SettingsError: the port is taken, the host is not one of this machine's, or API keys are asked for and there
            are none.
        ModelError: there is no such bundle, or it fails its checks. Nothing has been started then.
        StorageError: the folder for kept pictures can't be made.
        ClusterError: the cluster can't be joined, has too little free, or runs Ray Serve already.
    """
    from serve.model.loading import check, find

    address = address_of(address)
    _check_keys(settings, address)
    with _until_stopped():
        if address == LOCAL:
            port = free_port(host, port)
            if settings.keep:  # told here, and not by a replica that does not start
                make_folders(Path(settings.keep))
        located = find(settings)
        bundle = located.path
        check(bundle)
        # Replicas run in other folders.
        found = settings.model_copy(update={"storage": str(Path(settings.storage).absolute())})
        if not settings.model.startswith("models:"):
            found = found.model_copy(update={"model": str(bundle)})
        with ray_at(address, settings), _service(found, address, host, port, request_timeout):
            shown = f"[{host}]" if ":" in host else host
            on_ready(Running(f"http://{shown}:{port}", settings.model, bundle))
            threading.Event().wait()


def _check_keys(settings: ServeSettings, address: str) -> None:
    if not settings.auth:
        return
    ApiKeys(Path(settings.api_keys) if settings.api_keys else None)
    if address != LOCAL and settings.api_keys is None:
        raise SettingsError(
            f"On a cluster the API keys are in a file that each node has; {VARIABLE} stays on this machine: "
            "use --api-keys FILE."
        )


@contextmanager
def _until_stopped() -> Iterator[None]:
    """SIGINT and SIGTERM leave the block, which is a good end; those that follow while it cleans up are ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _service(settings: ServeSettings, address: str, host: str, port: int, request_timeout: float) -> Iterator[None]:
    from ray import serve
    from ray.exceptions import RayError
    from ray.serve.config import HTTPOptions

    from serve.deployment import build

    quiet = {"log_level": "WARNING", "enable_access_log": False}
    answering = False
    try:
        try:
            serve.start(
                proxy_location="HeadOnly",
                http_options=HTTPOptions(host=host, port=port, request_timeout_s=request_timeout),
                logging_config=quiet,
            )
        except RayError as error:
            raise ClusterError(
                f"Ray Serve's HTTP proxy did not start ({type(error).__name__}); on a busy machine try again."
            ) from error
        try:
            serve.run(build(settings), name=_APPLICATION, route_prefix="/", logging_config=quiet)
        except RuntimeError as error:
            raise ModelError(f"The model '{settings.model}' can't be served; the log above says why.") from error
        answering = True
        yield
    finally:
        if address != LOCAL:
            # Ray tells on both streams that Serve's controller, which this ends, has ended.
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                serve.shutdown()
        elif answering:
            # Requests in work get their answer; all else ends with our own Ray, without serve.shutdown(), which makes
            # Ray complain about the end of Serve's controller.
            serve.delete(_APPLICATION)
