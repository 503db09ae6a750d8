"""The Ray Serve deployments: page, decoding and model in one replica, since each hop through a handle costs; heat maps
in another, which is there only while somebody asks for them."""

import logging
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls_ray.errors import ImgclsError
from serve.record.meters import Meters
from serve.settings import ServeSettings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

    from serve.model.explaining import Explained, Explainer, NotExplained

_NAME, _EXPLAINER = "Classifier", "Explainer"
_ONGOING = 2
"""Requests in work for each CPU of a replica, on average, above which another replica is started: one that is decoded
or classified, one that is read or written."""
_IDLE_SECONDS = 600
"""After which the replica that draws heat maps ends."""


class Classifier:
    """One replica: loads and warms the bundle when it starts, and fails to start when the bundle's checks fail."""

    def __init__(self, settings: ServeSettings, explainer: "DeploymentHandle | None" = None) -> None:
        from serve.loopback import keep_replica_on_loopback
        from serve.model.loading import follow, load_predictor

        keep_replica_on_loopback()
        _log_to_stderr()
        self._settings, self._explainer = settings, explainer
        self._predictor, self._meters = load_predictor(settings), Meters()
        follow(self._predictor, settings, self._meters)

    def __serve_build_asgi_app__(self) -> "FastAPI":
        # Serve calls this after the constructor, in the replica: an application is never pickled.
        from serve.web.app import build_app

        explain = self._explain if self._explainer else None
        return build_app(self._predictor, self._settings, explain, self._meters)

    async def _explain(self, picture: bytes, label: str | None) -> "Explained | NotExplained":
        if self._explainer is None:
            raise RuntimeError("there is no explainer")
        bundle = str(self._predictor.served.path)
        answer: Explained | NotExplained = await self._explainer.remote(bundle, picture, label)
        return answer


class HeatMaps:
    """One replica that draws heat maps; it starts with the first request and ends when nobody has asked for long."""

    def __init__(self, settings: ServeSettings) -> None:
        from serve.loopback import keep_replica_on_loopback

        keep_replica_on_loopback()
        _log_to_stderr()
        self._settings, self._loading = settings, threading.Lock()
        self._explainers: dict[str, Explainer] = {}
        """By bundle; the last two, as a version that was followed may be gone back to."""

    def __call__(self, bundle: str, picture: bytes, label: str | None) -> "Explained | NotExplained":
        """See `Explainer.explain`; `bundle` is the folder of the one that answers."""
        from serve.model.explaining import NotExplained

        try:
            explainer = self._explainer(bundle)
        except ImgclsError as error:  # the bundle is gone, or not on this node
            return NotExplained(503, str(error))
        return explainer.explain(picture, label)

    def _explainer(self, bundle: str) -> "Explainer":
        """That of a bundle; Serve calls from several threads, and one of them loads it."""
        from serve.model.loading import load_explainer

        if (found := self._explainers.get(bundle)) is not None:
            return found
        with self._loading:
            if bundle not in self._explainers:
                kept = list(self._explainers.items())[-1:]
                self._explainers = dict([*kept, (bundle, load_explainer(Path(bundle), self._settings))])
            return self._explainers[bundle]


def build(args: ServeSettings) -> "Application":
    """The application for `serve run` and `serve deploy`: import path `serve.deployment:build`, `args` as in YAML."""
    from ray import serve

    deployment = serve.deployment(
        serve.ingress()(Classifier),
        name=_NAME,
        # The predictor refuses with a JSON sentence above max_waiting; Serve's own limits are wider, so that
        # /livez and /readyz still get through to a replica that is full.
        max_ongoing_requests=2 * args.max_waiting + 16,
        max_queued_requests=4 * args.max_waiting + 64,
        autoscaling_config={
            "min_replicas": args.min_replicas,
            "max_replicas": max(args.min_replicas, args.max_replicas),
            "target_ongoing_requests": _ONGOING * args.cpus,
        },
        ray_actor_options={"num_cpus": args.cpus, "num_gpus": args.gpus},
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
    )
    return deployment.bind(args, _explainer(args) if args.explain else None)


def _explainer(args: ServeSettings) -> "Application":
    from ray import serve

    return serve.deployment(
        HeatMaps,
        name=_EXPLAINER,
        autoscaling_config={
            "min_replicas": 0,
            "initial_replicas": 0,
            "max_replicas": 1,
            "downscale_delay_s": _IDLE_SECONDS,
            "downscale_to_zero_delay_s": _IDLE_SECONDS,
        },
        max_ongoing_requests=4,
        max_queued_requests=args.max_waiting,
        # What is asked for now and then must not keep a CPU from the replicas that classify.
        ray_actor_options={"num_cpus": 0, "num_gpus": 0},
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
    ).bind(args)


def _log_to_stderr() -> None:
    """Refused requests and failures go to the replica's stderr, which Ray brings to the driver."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("serve")
    logger.handlers = [handler]
    logger.propagate = False
