"""The service in the foreground: checks first, then Ray, then requests until Ctrl-C."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from imgcls_ray.errors import ClusterError, ModelError, SettingsError
from imgcls_ray.jobs.connection import LOCAL, address_of
from serve.cluster import ray_at
from serve.guard.keys import VARIABLE, ApiKeys
from serve.ingress.choice import Ingress, haproxy_binary, required_binary
from serve.ingress.environment import haproxy_environment, plain_environment
from serve.port import free_port
from serve.record.keeping import make_folders
from serve.record.log import check_log
from serve.settings import ServeSettings

_APPLICATION = "imgcls"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Running:
    """A service that takes requests."""

    url: str
    """Without a slash at its end."""
    model: str
    """What was asked for."""
    bundle: Path
    """What answers."""
    ingress: Ingress | None
    """What stands before it; on a cluster that was joined: None, as that is the cluster's own choice."""


@dataclass(frozen=True)
class _Listening:
    """Where requests are heard, and for how many seconds each may last."""

    host: str
    port: int
    request_timeout: float


class _Stopped(BaseException):
    """SIGINT or SIGTERM; like KeyboardInterrupt, nothing in between may catch it as an error."""


def run(
    settings: ServeSettings,
    on_ready: Callable[[Running], None],
    host: str = "127.0.0.1",
    port: int = 8000,
    address: str | None = None,
    request_timeout: float = 60.0,
    ingress: Ingress | None = None,
) -> None:
    """Serve `settings.model` on `host`:`port` until Ctrl-C or SIGTERM, then stop everything that was started here.

    `port` 0 takes any free one. `address` is the Ray cluster to join; by default RAY_ADDRESS, else a Ray of its own is
    started that listens on loopback only. `request_timeout` is in seconds, from a request's first byte to its answer.
    `ingress` is by default HAProxy where it can be run, else Ray Serve's own proxy.
    `on_ready` is called once, when requests are answered. Call it from the main thread: it handles signals.

    Raises:
        SettingsError: the port is taken, the host is not one of this machine's, API keys are asked for and there
            are none, or an ingress is asked for that can't be had.
        ModelError: there is no such bundle, or it fails its checks. Nothing has been started then.
        StorageError: the folder for kept pictures can't be made.
        ClusterError: the cluster can't be joined, has too little free, or runs Ray Serve already.
    """
    from serve.model.loading import check, find

    address = address_of(address)
    _check_keys(settings, address)
    binary = _binary(ingress, address)
    if ingress is None and address == LOCAL:
        ingress = Ingress.HAPROXY if binary else Ingress.PLAIN
    with _until_stopped() as stop:
        if address == LOCAL:
            port = free_port(host, port)
            # Told here, and not by a replica that does not start.
            if settings.keep:
                make_folders(Path(settings.keep))
            if settings.request_log:
                check_log(Path(settings.request_log))
        located = find(settings)
        bundle = located.path
        check(bundle)
        found = _from_anywhere(settings)
        options = _Listening(host, port, request_timeout)
        with _before(binary, address, options, settings.max_waiting), ray_at(address, settings):
            # Behind HAProxy the replicas listen themselves, and only to it.
            heard = replace(options, host=_LOOPBACK) if binary else options
            with _service(found, address, heard):
                stop.check()
                shown = f"[{host}]" if ":" in host else host
                on_ready(Running(f"http://{shown}:{port}", settings.model, bundle, ingress))
                while True:
                    stop.check()
                    time.sleep(1)


def _from_anywhere(settings: ServeSettings) -> ServeSettings:
    """The settings with all places absolute: replicas run in other folders."""
    given = {name: getattr(settings, name) for name in ("storage", "keep", "request_log", "api_keys")}
    models = {name: getattr(settings, name) for name in ("model", "canary", "shadow")}
    given |= {name: place for name, place in models.items() if place and not place.startswith("models:")}
    return settings.model_copy(
        update={name: str(Path(place).expanduser().absolute()) for name, place in given.items() if place}
    )


def _check_keys(settings: ServeSettings, address: str) -> None:
    if not settings.auth:
        return
    ApiKeys(Path(settings.api_keys) if settings.api_keys else None)
    if address != LOCAL and settings.api_keys is None:
        raise SettingsError(
            f"On a cluster the API keys are in a file that each node has; {VARIABLE} stays on this machine: "
            "use --api-keys FILE."
        )


def _binary(ingress: Ingress | None, address: str) -> Path | None:
    """HAProxy, where it is to be used."""
    if address != LOCAL:
        if ingress is not None:
            raise SettingsError(
                f"--ingress {ingress} can't be chosen for a cluster that runs already: what Serve uses there was said "
                "by the environment in which its nodes were started; leave it out (docs/serving.md says more)."
            )
        return None
    if ingress is Ingress.PLAIN:
        return None
    return haproxy_binary() if ingress is None else required_binary()


def _before(binary: Path | None, address: str, options: _Listening, most: int) -> AbstractContextManager[None]:
    """The environment that says what stands before the replicas of a Ray that is started here."""
    if address != LOCAL:
        return nullcontext()
    if binary is None:
        return plain_environment()
    bind, spare = f"{options.host}:{options.port}", free_port(_LOOPBACK, 0)
    return haproxy_environment(binary, bind, spare, options.request_timeout, most)


class _Stop:
    """Whether SIGINT or SIGTERM has come.

    The handler raises; but Python ignores what is raised inside a finaliser or a hook of a fork, as Ray's start has
    many, and only tells of it on stderr. So it is also kept, and looked at where the start has come further; what is
    told is left out.
    """

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raise if it has."""
        if self.asked:
            raise _Stopped


@contextmanager
def _until_stopped() -> Iterator[_Stop]:
    """SIGINT and SIGTERM leave the block, which is a good end; those that follow while it cleans up are ignored."""
    stop = _Stop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        stop.asked = True
        raise _Stopped

    def told(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, _Stopped):
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, told
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except _Stopped:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


@contextmanager
def _service(settings: ServeSettings, address: str, options: _Listening) -> Iterator[None]:
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
                http_options=HTTPOptions(
                    host=options.host, port=options.port, request_timeout_s=options.request_timeout
                ),
                logging_config=quiet,
            )
        except RayError as error:
            raise ClusterError(
                f"Ray Serve's HTTP proxy did not start ({type(error).__name__}); on a busy machine try again, or "
                "choose --ingress plain."
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
