"""The Open Inference Protocol (KServe's V2, github.com/kserve/open-inference-protocol) below /v2."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from imgcls_ray import __version__
from imgcls_ray.errors import ImgclsError
from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.model.traffic import Chosen
from serve.web.answering import Answering
from serve.web.openapi import TENSORS, refusals
from serve.web.tensors import LENGTH, metadata, read_inference, written

_EXTENSIONS = ("binary_tensor_data",)


def _version(request: Request) -> str | None:
    # As a parameter of a route without it in the path FastAPI would take it for one of the query.
    return request.path_params.get("version")


Version = Annotated[str | None, Depends(_version)]
_OTHER = refusals(_404="Another model, or another version of it, is served.")


def inference_router(answering: Answering) -> APIRouter:
    """The protocol's routes for the one model of `answering`, with and without its version in the path."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    predictor = answering.predictor

    @router.get("", summary="What this server is")
    async def server() -> dict[str, Any]:
        return {"name": "imgcls", "version": __version__, "extensions": list(_EXTENSIONS)}

    @router.get("/health/live", summary="Is the process up?")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready", summary="Is the model loaded?")
    async def ready() -> JSONResponse:
        return JSONResponse({"ready": predictor.ready}, 200 if predictor.ready else 503)

    @router.get("/models/{name}", summary="The model's inputs and outputs", responses=_OTHER)
    @router.get("/models/{name}/versions/{version}", include_in_schema=False)
    async def model(name: str, version: Version) -> dict[str, Any]:
        chosen = check(name, version)
        served = chosen[1] if chosen else predictor.served
        return metadata(name, served.version, len(served.labels))

    @router.get("/models/{name}/ready", summary="Is this model loaded?", responses=_OTHER)
    @router.get("/models/{name}/versions/{version}/ready", include_in_schema=False)
    async def model_ready(name: str, version: Version) -> JSONResponse:
        check(name, version)
        body = {"name": name, "ready": predictor.ready}
        return JSONResponse(body, 200 if predictor.ready else 503)

    @router.post(
        "/models/{name}/infer",
        summary="Classify pictures",
        openapi_extra={"requestBody": TENSORS},
        responses=_OTHER
        | refusals(
            _400="The body is no JSON, or a picture is broken.",
            _401="No API key, or an unknown one.",
            _408="The body came too slowly.",
            _413="The body has too many bytes or a picture too many pixels.",
            _422="The tensors are not one input of pictures.",
            _429="You ask too often; try again after the seconds in Retry-After.",
            _503="Too many requests are in work; try again after the seconds in Retry-After.",
        ),
    )
    @router.post("/models/{name}/versions/{version}/infer", include_in_schema=False)
    async def infer(request: Request, name: str, version: Version) -> Response:
        chosen = check(name, version)
        with answering.predictor.slot():
            with request.state.stages.timed("read"):
                asked = read_inference(await request.body(), request.headers.get(LENGTH))
            answers = _all(await answering.answers(request, asked.pictures, chosen))
        body, headers = written(answers, asked, name, request.state.model["version"])
        return Response(body, headers=headers)

    def check(name: str, version: str | None) -> Chosen | None:
        """The arm with the version that is asked for; none where any will do."""
        info = predictor.served
        chosen = predictor.traffic.arm_with(version) if version else None
        if name != info.name or (version and not chosen):
            served = f"{info.name!r}" + (f", version {info.version}" if info.version else "")
            raise RequestRefused(404, f"The model that is served is {served}; received {name[:80]!r}.")
        return chosen

    return router


def _all(answers: Sequence[Answer | ImgclsError]) -> list[Answer]:
    """The protocol has no place for an answer to some pictures alone."""
    found: list[Answer] = []
    for number, answer in enumerate(answers):
        if isinstance(answer, ImgclsError):
            raise RequestRefused(getattr(answer, "http_status", 400), f"Picture {number} of the request: {answer}")
        found.append(answer)
    return found
