"""The answer to a request that is refused: `{"success": false, "error": "one sentence", "request_id": "..."}`."""

import logging

from starlette.requests import Request
from starlette.responses import JSONResponse

logger = logging.getLogger("serve")

ID = "X-Request-ID"
"""The header with a request's id, in both directions."""


def refusal(request: Request, status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request that is refused, told in the log as well."""
    client = request.client.host if request.client else "-"
    known = request.state.request_id
    logger.warning("%s %s %s %r: %d %s", known, client, request.method, request.url.path[:200], status, error)
    request.state.error = error
    return JSONResponse({"success": False, "error": error, "request_id": known}, status, headers)
