"""Shadow traffic: a version answers the requests of the champion too, and nobody hears it; it is only compared."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Full, Queue
from typing import TYPE_CHECKING

from imgcls_ray.errors import ImgclsError
from serve.model.answer import Answer
from serve.model.served import Arm, Served
from serve.stages import Stages

if TYPE_CHECKING:
    from serve.record.meters import Meters

logger = logging.getLogger("serve")

Classify = Callable[[Served, list[bytes], Stages], list[Answer | ImgclsError]]
"""The answers of a version to pictures' files, as `Predictor.classify_now` gives them."""

_WAITING = 16
"""Requests that wait for the shadow, at the most; beyond that they are not shown to it."""


@dataclass(frozen=True)
class _Asked:
    pictures: list[bytes]
    answers: list[Answer]


class Shadow:
    """Asks in a thread of its own, one request after another, so that the answers that are given are never late for it
    but for the CPU that it takes.
    """

    def __init__(self, arm: Arm, share: float, classify: Classify, meters: "Meters") -> None:
        """`share` of the requests, from 0 to 1, is shown to it, drawn by chance."""
        self.arm, self._share, self._classify, self._meters = arm, share, classify, meters
        self._waiting: Queue[_Asked] = Queue(_WAITING)
        threading.Thread(target=self._run, name="shadow", daemon=True).start()

    def offer(self, pictures: list[bytes], answers: list[Answer], champion: Served) -> None:
        """Pictures that `champion` answered so. Returns at once; nothing is compared with itself."""
        served = self.arm.served
        if served is None or served is champion or random.random() >= self._share:  # noqa: S311 - a sample, no secret
            return
        try:
            self._waiting.put_nowait(_Asked(pictures, answers))
        except Full:
            self._meters.shadowed("dropped", len(pictures))

    def join(self) -> None:
        """Return when all that was offered has been compared."""
        self._waiting.join()

    def _run(self) -> None:
        while True:
            asked = self._waiting.get()
            try:
                if served := self.arm.served:
                    self._compare(served, asked)
            except Exception:  # whatever it is, the next request is another one
                self._meters.shadowed("failed", len(asked.pictures))
                logger.exception("The shadow failed")
            finally:
                self._waiting.task_done()

    def _compare(self, served: Served, asked: _Asked) -> None:
        stages = Stages()
        found = self._classify(served, asked.pictures, stages)
        self._meters.predicted(self.arm.name, stages)
        for given, other in zip(asked.answers, found, strict=True):
            if not isinstance(other, Answer):
                self._meters.shadowed("failed", 1)
                continue
            self._meters.shadowed("agrees" if given.label == other.label else "differs", 1)
            self._meters.answered(other.label, other.decision, self.arm.name)
            if given.labels == other.labels:
                self._meters.differed(float(abs(given.probabilities - other.probabilities).max()))
