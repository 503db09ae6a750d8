"""What all ways of asking share: the limit of pictures, the model's answers, and what is remembered of them."""

import logging

from fastapi import Request

from imgcls_ray.errors import ImgclsError
from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.model.predictor import Predictor
from serve.model.served import Arm, Served
from serve.model.traffic import Chosen
from serve.record.drift import Drift
from serve.record.keeping import Keeper, Kept, now
from serve.record.meters import Meters
from serve.settings import ServeSettings

logger = logging.getLogger("serve")


class Answering:
    """Answers the pictures of a request, and leaves in its state what the log tells of it."""

    def __init__(self, predictor: Predictor, settings: ServeSettings, meters: Meters, drift: Drift) -> None:
        self.predictor, self._most, self._meters, self._drift = predictor, settings.max_pictures, meters, drift
        self._keeper = Keeper(settings, meters.kept) if settings.keep else None

    async def answers(
        self, request: Request, pictures: list[bytes], chosen: Chosen | None = None
    ) -> list[Answer | ImgclsError]:
        """The answer to each picture, or why it has none; all of them by one version of the model, which is told.

        `chosen` is the arm to ask, by default that of the request's id.

        Raises:
            RequestRefused: 422, there are more than `max_pictures`.
        """
        if len(pictures) > self._most:
            raise RequestRefused(422, f"A request has at most {self._most} pictures; received {len(pictures)}.")
        traffic, stages = self.predictor.traffic, request.state.stages
        arm, served = chosen or traffic.arm_for(request.state.request_id)
        try:
            answers = await self.predictor.classify(served, pictures, stages)
        except Exception:
            if chosen or arm is traffic.champion:
                raise
            # Whatever a canary does, it may not cost an answer.
            logger.exception("The canary, version %s, failed; the champion answers", served.version)
            self._meters.canary_failed()
            arm, served = traffic.champion, self.predictor.served
            answers = await self.predictor.classify(served, pictures, stages)
        request.state.model = {"name": served.name, "version": served.version}
        request.state.answers = [_told(answer) for answer in answers]
        self._meters.predicted(arm.name, stages)
        pairs = zip(pictures, answers, strict=True)
        given = [(picture, answer) for picture, answer in pairs if isinstance(answer, Answer)]
        for picture, answer in given:
            self._remember(arm, served, picture, answer, request.state.request_id)
        if self.predictor.shadow and given and arm is traffic.champion:
            self.predictor.shadow.offer([picture for picture, _ in given], [answer for _, answer in given], served)
        return answers

    def _remember(self, arm: Arm, served: Served, picture: bytes, answer: Answer, request_id: str) -> None:
        self._meters.answered(answer.label, answer.decision, arm.name)
        if served.bundle.reference and arm is self.predictor.champion:
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
