"""Whether the pictures of now are still those that the model was tested on: GET /drift, and figures for Prometheus."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from imgcls_ray.inference.reference import Kind, Reference
from serve.record.window import Window

LEAST = 50
"""Pictures below which nothing is said: less is all chance."""
State = Literal["steady", "drift", "too_few", "no_reference"]


@dataclass(frozen=True)
class Compared:
    """One distance of the window from the held-out pictures."""

    distance: float
    limit: float
    """What one of a thousand windows of such pictures exceeds by chance."""

    @property
    def drifted(self) -> bool:
        """Whether this is more than chance."""
        return self.distance > self.limit


class Drift(Collector):
    """Of one replica: a window of the version that answers; with another version it begins anew."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._of: tuple[object, str, Window] | None = None
        """The model, its version, its window."""

    def seen(
        self, model: object, version: str | None, reference: Reference, probabilities: np.ndarray, features: np.ndarray
    ) -> None:
        """A picture that `model` answered with probabilities (K,), by features (F,)."""
        window = self.window(model)
        if window is None:
            window = Window(reference, self.size)
            self._of = (model, version or "", window)
        window.add(probabilities, features, time.time())

    def window(self, model: object) -> Window | None:
        """That of a model; None where it was not the last one to answer."""
        return self._of[2] if self._of and self._of[0] is model else None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As prometheus_client asks for it."""
        pictures = GaugeMetricFamily("imgcls_drift_pictures", "Pictures in the window.", labels=["version"])
        distance = GaugeMetricFamily(
            "imgcls_drift_distance", "Of the window from the held-out pictures.", labels=["version", "of"]
        )
        limit = GaugeMetricFamily(
            "imgcls_drift_limit", "Distance that 1 of 1000 such windows exceeds by chance.", labels=["version", "of"]
        )
        if self._of:
            _, version, window = self._of
            pictures.add_metric([version], window.pictures)
            for kind, found in compared(window).items():
                distance.add_metric([version, kind], found.distance)
                limit.add_metric([version, kind], found.limit)
        yield from (pictures, distance, limit)


def compared(window: Window) -> dict[Kind, Compared]:
    """The distances of a window; none while it holds too few pictures."""
    if window.pictures < LEAST:
        return {}
    reference = window.reference
    distances = reference.distances(window.summary())
    return {kind: Compared(value, reference.limit(kind, window.pictures)) for kind, value in distances.items()}
