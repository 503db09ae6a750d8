"""The model behind the HTTP layer: its own threads, its limits, its answers."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgcls_ray.data.pixels import read_header
from imgcls_ray.errors import ImageError, ImgclsError
from serve.errors import RequestRefused
from serve.schemas import Classified, ModelInfo, Prediction
from serve.settings import ServeSettings

if TYPE_CHECKING:
    import numpy as np

    from imgcls_ray.bundle.bundle import Bundle


class Predictor:
    """Classifies pictures with one loaded bundle. Decoding and the model run in threads, so the event loop stays free.

    With one CPU there are still two threads: a picture that takes long to decode does not hold up the small ones.
    """

    def __init__(self, bundle: "Bundle", settings: ServeSettings) -> None:
        self._bundle = bundle
        self._max_pixels = settings.max_pixels
        self._max_waiting = settings.max_waiting
        self._threads = ThreadPoolExecutor(max(2, settings.cpus), thread_name_prefix="predict")
        self._waiting = 0
        self.ready = False

    @property
    def info(self) -> ModelInfo:
        """What the model is, for `/readyz`."""
        pixels = self._bundle.pixels
        return ModelInfo(
            name=self._bundle.card.name,
            labels=len(self._bundle.labels),
            height=pixels.height,
            width=pixels.width,
            colorspace=pixels.colorspace,
        )

    def warm_up(self) -> None:
        """Run the model once in each batch size; from here on the service is ready."""
        self._bundle.engine.warm_up()
        self.ready = True

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A place in the queue, from the first byte of a request to its answer.

        Raises:
            RequestRefused: 503, `max_waiting` requests are in work already.
        """
        if self._waiting >= self._max_waiting:
            raise RequestRefused(503, f"The service has {self._waiting} requests in work; try again in a second.")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def classify(self, pictures: list[bytes]) -> list[Classified | ImgclsError]:
        """For each picture (a file's bytes) all classes, highest probability first, or why it can't be classified."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._classify, pictures)

    def _classify(self, pictures: list[bytes]) -> list[Classified | ImgclsError]:
        refused = [self._too_many_pixels(data) for data in pictures]
        answers = iter(
            self._bundle.predict_bytes([data for data, no in zip(pictures, refused, strict=True) if no is None])
        )
        return [self._classified(next(answers)) if no is None else no for no in refused]

    def _classified(self, answer: "np.ndarray | ImageError") -> Classified | ImgclsError:
        if isinstance(answer, ImageError):
            return answer
        predictions = [Prediction.model_validate(row) for row in self._bundle.ranked(answer)]
        return Classified(predictions=predictions, decision=self._bundle.decision(answer))

    def _too_many_pixels(self, data: bytes) -> ImgclsError | None:
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
