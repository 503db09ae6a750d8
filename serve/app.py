"""The HTTP layer: routes, limits and documentation around a predictor. It knows nothing of Ray."""

from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from imgcls_ray import __version__
from imgcls_ray.errors import ImgclsError
from serve import handlers
from serve.limits import BodyLimit
from serve.predictor import Predictor
from serve.schemas import Classified, Live, Ready, Refused
from serve.settings import ServeSettings
from serve.upload import FIELD, read_pictures

_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "string",
                        "format": "binary",
                        "description": "One picture: JPEG, PNG, TIFF, BMP, GIF or WebP.",
                    }
                },
            },
            "encoding": {FIELD: {"contentType": "image/jpeg, image/png, image/tiff, application/octet-stream"}},
        }
    },
}


def _refusals(**reasons: str) -> dict[int | str, dict[str, Any]]:
    return {int(name[1:]): {"model": Refused, "description": reason} for name, reason in reasons.items()}


def build_app(predictor: Predictor, settings: ServeSettings) -> FastAPI:
    """The FastAPI application that answers with `predictor` within the limits of `settings`.

    `/docs` is a page of our own: FastAPI's loads its scripts from the internet, which many clusters don't have.
    """
    app = FastAPI(
        title="imgcls",
        version=__version__,
        summary="Classifies pictures.",
        description=f"At most {settings.max_body_bytes:,} bytes a request, {settings.max_pixels:,} pixels a picture.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    handlers.install(app)

    @app.post(
        "/classify",
        operation_id="classify",
        summary="Classify one picture",
        response_model=Classified,
        response_description="Every class with its probability, highest first.",
        openapi_extra={"requestBody": _BODY},
        responses=_refusals(
            _400="The form or the picture is broken.",
            _413="The body has too many bytes or the picture too many pixels.",
            _415="The request is not multipart/form-data.",
            _422=f"The form has no file, or several, in the field {FIELD}.",
            _503="Too many requests are in work; try again after the seconds in Retry-After.",
        ),
    )
    async def classify(request: Request) -> Classified:
        with predictor.slot():
            pictures = await read_pictures(request)
            [answer] = await predictor.classify(pictures)
        if isinstance(answer, ImgclsError):
            raise answer
        return answer

    @app.get("/livez", operation_id="livez", summary="Is the process up?", response_description="It is.")
    async def livez() -> Live:
        return Live()

    @app.get(
        "/readyz",
        operation_id="readyz",
        summary="Is the model loaded and warmed up?",
        response_model=Ready,
        response_description="It is, and this is the model.",
        responses=_refusals(_503="Not yet."),
    )
    async def readyz() -> Ready | JSONResponse:
        if not predictor.ready:
            return JSONResponse(
                {"success": False, "error": "The model is still being loaded."}, 503, {"Retry-After": "1"}
            )
        return Ready(model=predictor.info)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(files("serve").joinpath("static", "docs.html").read_text("utf-8"))

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
