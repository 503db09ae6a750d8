"""What all ways of asking share: the limit of pictures, the model's answers, and what is remembered of them."""

from fastapi import Request

from imgcls_ray.errors import ImgclsError
from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.record.drift import Drift
from serve.record.keeping import Keeper, Kept, now
from serve.record.meters import Meters
from serve.settings import ServeSettings


class Answering:
    """Answers the pictures of a request, and leaves in its state what the log tells of it."""

    def __init__(self, predictor: Predictor, settings: ServeSettings, meters: Meters, drift: Drift) -> None:
        self.predictor, self._most, self._meters, self._drift = predictor, settings.max_pictures, meters, drift
        self._keeper = Keeper(settings, meters.kept) if settings.keep else None

    async def answers(self, request: Request, pictures: list[bytes]) -> list[Answer | ImgclsError]:
        """The answer to each picture, or why it has none; all of them by one version of the model, which is told.

        Raises:
            RequestRefused: 422, there are more than `max_pictures`.
        """
        if len(pictures) > self._most:
            raise RequestRefused(422, f"A request has at most {self._most} pictures; received {len(pictures)}.")
        served = self.predictor.served
        request.state.model = {"name": served.name, "version": served.version}
        answers = await self.predictor.classify(served, pictures, request.state.stages)
        request.state.answers = [_told(answer) for answer in answers]
        for picture, answer in zip(pictures, answers, strict=True):
            if isinstance(answer, Answer):
                self._remember(served, picture, answer, request.state.request_id)
        return answers

    def _remember(self, served: Served, picture: bytes, answer: Answer, request_id: str) -> None:
        self._meters.answered(answer.label, answer.decision)
        if served.bundle.reference:
            self._drift.seen(served, served.version, served.bundle.reference, answer.probabilities, answer.features)
        if self._keeper:
            probability = float(answer.probabilities[answer.best])
            about = (served.name, served.version, request_id, now())
            self._keeper.offer(Kept(picture, answer.label, probability, answer.decision, *about))


def _told(answer: Answer | ImgclsError) -> dict[str, object]:
    if isinstance(answer, ImgclsError):
        return {"error": str(answer)}
    probability = round(float(answer.probabilities[answer.best]), 4)
    return {"label": answer.label, "probability": probability, "decision": answer.decision}
