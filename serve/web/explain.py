"""The route that tells why: POST /explain."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from serve.errors import RequestRefused
from serve.model.explaining import Explain, NotExplained
from serve.model.predictor import Predictor
from serve.web.asked import read_asked
from serve.web.fetching import Fetching
from serve.web.openapi import BODY, BY_URL, refusals
from serve.web.schemas import HeatMap

_PICTURE = {"image/png": {"schema": {"type": "string", "format": "binary"}}}


def explain_router(predictor: Predictor, explain: Explain, fetching: Fetching | None) -> APIRouter:
    """The route, which has the model's places and limits in common with /classify."""
    router = APIRouter()

    @router.post(
        "/explain",
        operation_id="explain",
        summary="Show which places of a picture speak for its class",
        response_description="The picture as the model sees it with Grad-CAM's heat over it, or the heat as a grid.",
        openapi_extra={"requestBody": BODY},
        response_class=Response,
        responses=refusals(
            _400="The body or the picture is broken.",
            _408="The body came too slowly.",
            _413="The body has too many bytes or the picture too many pixels.",
            _415="The body is neither a form nor a picture nor JSON.",
            _422="There is not exactly one picture, or no such class.",
            **BY_URL,
            _503="Too many requests are in work; try again after the seconds in Retry-After.",
        )
        | {200: {"model": HeatMap, "content": _PICTURE}},
    )
    async def explained(
        request: Request,
        label: Annotated[str | None, Query(description="The class to ask about; by default the answer.")] = None,
        form: Annotated[
            Literal["png", "json"], Query(alias="format", description="A picture, or the heat as numbers.")
        ] = "png",
    ) -> Response:
        with predictor.slot():
            with request.state.stages.timed("read"):
                asked = await read_asked(request, fetching)
            if len(asked.pictures) != 1:
                raise RequestRefused(422, f"One picture is explained at a time; received {len(asked.pictures)}.")
            refused = predictor.refused(asked.pictures[0])
            if refused is not None:
                raise refused
            with request.state.stages.timed("explain"):
                found = await explain(asked.pictures[0], label)
        if isinstance(found, NotExplained):
            raise RequestRefused(found.status, found.reason)
        if form == "png":
            return Response(found.png, media_type="image/png")
        answer = found.answer
        return JSONResponse(
            {
                "label": answer.labels[found.asked],
                "probability": float(answer.probabilities[found.asked]),
                "decision": answer.decision,
                "heat_map": found.grid,
                "success": True,
                "request_id": request.state.request_id,
            }
        )

    return router
