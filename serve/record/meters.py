"""Figures of the service as Prometheus reads them, at GET /metrics."""

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request

from serve.stages import Stages

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Meters:
    """Of one replica, from its start."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("imgcls_requests", "Requests answered.", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "imgcls_request_seconds",
            "From a request's first byte to its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "imgcls_stage_seconds",
            "Of a request: read, wait for a thread, decode, predict.",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._in_work = Gauge("imgcls_requests_in_work", "Requests that are being answered.", registry=self._registry)
        self._answers = Counter(
            "imgcls_answers",
            "Pictures by the class they got, from champion, canary or shadow.",
            ["label", "decision", "arm"],
            registry=self._registry,
        )
        self._predicting = Histogram(
            "imgcls_predict_seconds",
            "Of the model alone, by arm.",
            ["arm"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._failures = Counter(
            "imgcls_canary_failures",
            "Requests that the canary failed to answer, which the champion answered then.",
            registry=self._registry,
        )
        self._shadowed = Counter(
            "imgcls_shadow_pictures",
            "Pictures shown to the shadow: its answer agrees, differs, failed; or dropped in a hurry.",
            ["outcome"],
            registry=self._registry,
        )
        self._differences = Histogram(
            "imgcls_shadow_difference",
            "Largest difference of a probability between champion and shadow, by picture.",
            buckets=(0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
            registry=self._registry,
        )

        self._kept = Counter(
            "imgcls_kept_pictures",
            "Pictures to be kept: kept, known, dropped in a hurry, full, failed.",
            ["outcome"],
            registry=self._registry,
        )
        self._model = Gauge(
            "imgcls_model", "1 for the version in an arm.", ["arm", "name", "version"], registry=self._registry
        )
        self._models: dict[str, tuple[str, str, str]] = {}
        self._refused = Counter(
            "imgcls_versions_refused", "Versions that failed their checks.", ["arm", "version"], registry=self._registry
        )

    def serves(self, arm: str, name: str, version: str | None) -> None:
        """This version is in this arm from now on."""
        self.empties(arm)
        self._models[arm] = (arm, name, version or "")
        self._model.labels(*self._models[arm]).set(1)

    def empties(self, arm: str) -> None:
        """Nothing is in this arm."""
        if before := self._models.pop(arm, None):
            self._model.remove(*before)

    def refuses(self, arm: str, version: str | None) -> None:
        """This version, or the registry itself, is not as it must be."""
        self._refused.labels(arm, version or "").inc()

    def in_work(self) -> AbstractContextManager[object]:
        """For as long as a request is being answered."""
        return self._in_work.track_inprogress()

    def count(self, request: Request, status: int, stages: Stages) -> None:
        """A request that was answered. Paths that nobody serves count as one, whatever they are."""
        path = getattr(request.scope.get("route"), "path", "other")
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(stages.total / 1000)
        for stage, milliseconds in stages.milliseconds.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def answered(self, label: str, decision: str, arm: str) -> None:
        """A picture that was classified."""
        self._answers.labels(label, decision, arm).inc()

    def predicted(self, arm: str, stages: Stages) -> None:
        """An arm has classified the pictures of a request."""
        self._predicting.labels(arm).observe(stages.milliseconds.get("predict", 0.0) / 1000)

    def canary_failed(self) -> None:
        """A request went from the canary to the champion."""
        self._failures.inc()

    def shadowed(self, outcome: str, pictures: int) -> None:
        """What became of pictures that were offered to the shadow."""
        self._shadowed.labels(outcome).inc(pictures)

    def differed(self, difference: float) -> None:
        """Between champion and shadow, at the most over the classes of a picture."""
        self._differences.observe(difference)

    def kept(self, outcome: str) -> None:
        """What became of a picture that was to be kept."""
        self._kept.labels(outcome).inc()

    def add(self, collector: Collector) -> None:
        """Figures that are worked out when they are asked for."""
        self._registry.register(collector)

    def page(self) -> bytes:
        """In Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)
