"""Every refusal and failure as the same JSON: `{"success": false, "error": "one sentence"}`."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from imgcls_ray.errors import ImgclsError

logger = logging.getLogger("serve")

_PATHS = "POST /classify, GET /livez, GET /readyz, GET /docs and GET /openapi.json"


def _answer(request: Request, status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    client = request.client.host if request.client else "-"
    logger.warning("%s %s %r: %d %s", client, request.method, request.url.path[:200], status, error)
    return JSONResponse({"success": False, "error": error}, status, headers)


async def _told(request: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "http_status", 500)
    return _answer(request, status, str(error), {"Retry-After": "1"} if status == 503 else None)


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
    return _answer(request, error.status_code, sentence, headers)


async def _gone(request: Request, _error: Exception) -> JSONResponse:
    return _answer(request, 400, "The connection ended before the whole request had arrived.")


async def _bug(request: Request, error: Exception) -> JSONResponse:
    logger.error("Unexpected error", exc_info=error)
    return _answer(request, 500, "The service failed to answer this request; its log says why.")


def install(app: FastAPI) -> None:
    """Let `app` answer every error with a JSON sentence."""
    app.add_exception_handler(ImgclsError, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)
