"""The HTTP layer: routes, limits and documentation around a predictor. It knows nothing of Ray."""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.cors import CORSMiddleware

from imgcls_ray import __version__
from serve.guard.gate import Gate
from serve.guard.keys import ApiKeys
from serve.guard.limits import BodyLimit
from serve.guard.rate import RateLimit
from serve.model.explaining import Explain
from serve.model.predictor import Predictor
from serve.record.drift import Drift
from serve.record.log import RequestLog
from serve.record.meters import Meters
from serve.record.middleware import Watch
from serve.refusal import refusal
from serve.settings import ServeSettings
from serve.web import handlers
from serve.web.answering import Answering
from serve.web.asked import read_asked, read_top
from serve.web.drift import drift_router
from serve.web.explain import explain_router
from serve.web.fetching import Fetching
from serve.web.inference import inference_router
from serve.web.openapi import ANSWERS, BODY, BY_URL, TOP_K, refusals
from serve.web.schemas import Labels, Live, ModelInfo, ModelsInfo, Ready
from serve.web.shapes import shaped

_POLICY = (
    "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'"
)
"""Of our pages: nothing comes from elsewhere, no other page may frame them; `blob:` is the picture that was chosen."""


def build_app(
    predictor: Predictor, settings: ServeSettings, explain: Explain | None = None, meters: Meters | None = None
) -> FastAPI:
    """The FastAPI application that answers with `predictor` within the limits of `settings`, and with `explain` why.

    `/docs` is a page of our own: FastAPI's loads its scripts from the internet, which many clusters don't have.

    Raises:
        SettingsError: API keys are asked for and there are none.
    """
    app = FastAPI(
        title="imgcls",
        version=__version__,
        summary="Classifies pictures.",
        description=f"At most {settings.max_body_bytes:,} bytes a request, {settings.max_pixels:,} pixels a picture.",
        docs_url=None,
        redoc_url=None,
    )
    meters = meters or Meters()
    drift = Drift(settings.drift_window)
    meters.add(drift)
    answering = Answering(predictor, settings, meters, drift)
    fetching = Fetching(settings.max_body_bytes, settings.url_seconds) if settings.allow_urls else None
    # The last one is the first that sees a request.
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(
        Gate,
        keys=ApiKeys(Path(settings.api_keys) if settings.api_keys else None) if settings.auth else None,
        rate=RateLimit(settings.rate_limit) if settings.rate_limit else None,
    )
    if settings.cors:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Watch, meters=meters, log=RequestLog(settings.request_log) if settings.request_log else None)
    handlers.install(app)
    _classifying(app, answering, fetching)
    if explain is not None:
        app.include_router(explain_router(predictor, explain, fetching))
    _watching(app, predictor, meters)
    app.include_router(drift_router(predictor, drift))
    app.include_router(inference_router(answering))
    return app


def _classifying(app: FastAPI, answering: Answering, fetching: Fetching | None) -> None:
    @app.post(
        "/classify",
        operation_id="classify",
        summary="Classify pictures",
        response_description="The classes of each picture with their probabilities, highest first.",
        openapi_extra={"requestBody": BODY, "parameters": [TOP_K]},
        responses=refusals(
            _400="The body or the picture is broken.",
            _401="No API key, or an unknown one.",
            _408="The body came too slowly.",
            _413="The body has too many bytes or the picture too many pixels.",
            _415="The body is neither a form nor a picture nor JSON.",
            _422="There is no picture, or too many.",
            **BY_URL,
            _429="You ask too often; try again after the seconds in Retry-After.",
            _503="Too many requests are in work; try again after the seconds in Retry-After.",
        )
        | {200: {"model": ANSWERS}},
    )
    async def classify(request: Request) -> Response:
        # Parameters and answer not by FastAPI's own way: its checks of both take longer than a small model.
        top = read_top(request)
        with answering.predictor.slot():
            with request.state.stages.timed("read"):
                asked = await read_asked(request, fetching)
            answers = await answering.answers(request, asked.pictures)
        about = {"model": request.state.model, "request_id": request.state.request_id}
        return JSONResponse(shaped(asked, answers, top) | about)

    @app.get("/labels", operation_id="labels", summary="The classes, in the order of scores")
    async def labels() -> Labels:
        return Labels(labels=list(answering.predictor.served.labels))

    @app.get("/model", operation_id="model", summary="The model that answers, and those that are tried beside it")
    async def model() -> ModelsInfo:
        return ModelsInfo.within(answering.predictor)


def _watching(app: FastAPI, predictor: Predictor, meters: Meters) -> None:
    @app.get("/livez", operation_id="livez", summary="Is the process up?", response_description="It is.")
    async def livez() -> Live:
        return Live()

    @app.get(
        "/readyz",
        operation_id="readyz",
        summary="Is the model loaded and warmed up?",
        response_model=Ready,
        response_description="It is, and this is the model.",
        responses=refusals(_503="Not yet."),
    )
    async def readyz(request: Request) -> Ready | JSONResponse:
        if not predictor.ready:
            return refusal(request, 503, "The model is still being loaded.", {"Retry-After": "1"})
        return Ready(model=ModelInfo.of(predictor.served))

    @app.get("/metrics", operation_id="metrics", summary="Figures for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(meters.page(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return _page("docs.html")

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return _page("page.html")


def _page(name: str) -> HTMLResponse:
    text = files("serve").joinpath("static", name).read_text("utf-8")
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"})
