"""The model behind the HTTP layer: its own threads, its limits, its answers."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from imgcls_ray.data.pixels import read_header
from imgcls_ray.errors import ImageError, ImgclsError
from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.model.served import Arm, Served
from serve.model.shadow import Shadow
from serve.model.traffic import Traffic
from serve.settings import ServeSettings
from serve.stages import Stages


class Predictor:
    """Classifies pictures with the bundle that is served. Decoding and the model run in threads, so the event loop
    stays free.

    With one CPU there are still two threads: a picture that takes long to decode does not hold up the small ones.
    """

    def __init__(self, served: Served, settings: ServeSettings) -> None:
        self.champion = Arm("champion", served)
        self.traffic = Traffic(self.champion)
        self.shadow: Shadow | None = None
        self._max_pixels = settings.max_pixels
        self._max_waiting = settings.max_waiting
        self._threads = ThreadPoolExecutor(max(2, settings.cpus), thread_name_prefix="predict")
        self.waiting = 0
        """Requests in work."""
        self.ready = False

    @property
    def served(self) -> Served:
        """The champion; another one may take its place at any time."""
        served = self.champion.served
        if served is None:
            raise RuntimeError("a service has a champion from its start")
        return served

    @property
    def arms(self) -> list[Arm]:
        """All that there are, the champion first."""
        shadow = self.shadow.arm if self.shadow else None
        return [arm for arm in (self.champion, self.traffic.canary, shadow) if arm]

    def warm_up(self) -> None:
        """Run the model once in each batch size; from here on the service is ready."""
        self.served.bundle.engine.warm_up()
        self.ready = True

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A place in the queue, from the first byte of a request to its answer.

        Raises:
            RequestRefused: 503, `max_waiting` requests are in work already.
        """
        if self.waiting >= self._max_waiting:
            raise RequestRefused(503, f"The service has {self.waiting} requests in work; try again in a second.")
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def classify(self, served: Served, pictures: list[bytes], stages: Stages) -> list[Answer | ImgclsError]:
        """The answer of `served` for each picture (a file's bytes), or why it can't be classified."""
        asked = time.perf_counter()
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._classify, served, pictures, stages, asked
        )

    def _classify(
        self, served: Served, pictures: list[bytes], stages: Stages, asked: float
    ) -> list[Answer | ImgclsError]:
        stages.add("wait", time.perf_counter() - asked)
        return self.classify_now(served, pictures, stages)

    def classify_now(self, served: Served, pictures: list[bytes], stages: Stages) -> list[Answer | ImgclsError]:
        """The same in the thread of the caller."""
        with stages.timed("decode"):
            refused = [self.refused(data) for data in pictures]
            decoded = served.bundle.decoded([data for data, no in zip(pictures, refused, strict=True) if no is None])
        with stages.timed("predict"):
            answers = iter(served.bundle.answers_of(decoded))
        return [served.answer(next(answers)) if no is None else no for no in refused]

    def refused(self, data: bytes) -> ImgclsError | None:
        """Why a picture's file is not decoded at all: it is none, or has too many pixels."""
        try:
            header = read_header(data)
        except ImageError as error:
            return error
        if header.width * header.height <= self._max_pixels:
            return None
        return RequestRefused(
            413,
            f"A picture may have at most {self._max_pixels:,} pixels; "
            f"received {header.width}x{header.height} = {header.width * header.height:,}; send a smaller one.",
        )
