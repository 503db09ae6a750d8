"""Every refusal and failure as the same JSON: `{"success": false, "error": "one sentence"}`."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from imgcls_ray.errors import ImgclsError
from serve.refusal import ID, refusal

logger = logging.getLogger("serve")

_PATHS = (
    "POST /classify, POST /explain, GET /labels, GET /model, GET /drift, GET /livez, GET /readyz, GET /metrics, "
    "GET /docs, GET /openapi.json and the Open Inference Protocol below /v2"
)


_HEADERS = {503: {"Retry-After": "1"}, 408: {"Connection": "close"}}
"""Of a refusal, by its status. What still comes of a body that was too slow is not waited for."""


async def _told(request: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "http_status", 500)
    return refusal(request, status, str(error), _HEADERS.get(status))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        return await _bug(request, error)
    first = error.errors()[0]
    return refusal(request, 422, f"The parameter {first['loc'][-1]!r} can't be used: {first['msg']}.")


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return await _bug(request, error)
    headers = dict(error.headers or {})
    sentence = f"{str(error.detail).rstrip('.')}."
    if error.status_code == 404:
        sentence = f"There is nothing at this path; the service has {_PATHS}."
    elif error.status_code == 405:
        sentence = (
            f"{request.method} is not answered at this path; it takes {headers.get('Allow', headers.get('allow'))}."
        )
    return refusal(request, error.status_code, sentence, headers)


async def _gone(request: Request, _error: Exception) -> JSONResponse:
    return refusal(request, 400, "The connection ended before the whole request had arrived.")


async def _bug(request: Request, error: Exception) -> JSONResponse:
    logger.error("Unexpected error", exc_info=error)
    answer = refusal(request, 500, "The service failed to answer this request; its log says why.")
    answer.headers[ID] = request.state.request_id  # this answer does not pass through serve.record.middleware
    return answer


def install(app: FastAPI) -> None:
    """Let `app` answer every error with a JSON sentence."""
    app.add_exception_handler(ImgclsError, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)
