"""The Ray Serve deployment: page, decoding and model in one replica, since each hop through a handle costs."""

import logging
import sys
from typing import TYPE_CHECKING

from serve.settings import ServeSettings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

_NAME = "Classifier"


class Classifier:
    """One replica: loads and warms the bundle when it starts, and fails to start when the bundle's checks fail."""

    def __init__(self, settings: ServeSettings) -> None:
        from serve.loading import load_predictor
        from serve.loopback import keep_replica_on_loopback

        keep_replica_on_loopback()
        _log_to_stderr()
        self._settings = settings
        self._predictor = load_predictor(settings)

    def __serve_build_asgi_app__(self) -> "FastAPI":
        # Serve calls this after the constructor, in the replica: an application is never pickled.
        from serve.app import build_app

        return build_app(self._predictor, self._settings)


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
        ray_actor_options={"num_cpus": args.cpus, "num_gpus": args.gpus},
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
    )
    return deployment.bind(args)


def _log_to_stderr() -> None:
    """Refused requests and failures go to the replica's stderr, which Ray brings to the driver."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("serve")
    logger.handlers = [handler]
    logger.propagate = False
