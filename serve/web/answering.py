"""What all ways of asking share: the limit of pictures, the model's answers, and what is remembered of them."""

from fastapi import Request

from imgcls_ray.errors import ImgclsError
from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.model.predictor import Predictor
from serve.record.meters import Meters
from serve.settings import ServeSettings


class Answering:
    """Answers the pictures of a request, and leaves in its state what the log tells of it."""

    def __init__(self, predictor: Predictor, settings: ServeSettings, meters: Meters) -> None:
        self.predictor, self._most, self._meters = predictor, settings.max_pictures, meters

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
        for answer in answers:
            if isinstance(answer, Answer):
                self._meters.answered(answer.label, answer.decision)
        return answers


def _told(answer: Answer | ImgclsError) -> dict[str, object]:
    if isinstance(answer, ImgclsError):
        return {"error": str(answer)}
    probability = round(float(answer.probabilities[answer.best]), 4)
    return {"label": answer.label, "probability": probability, "decision": answer.decision}
