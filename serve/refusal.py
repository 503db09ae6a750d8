"""The answer to a request that is refused: `{"success": false, "error": "one sentence", "request_id": "..."}`."""

import logging
import re
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse

logger = logging.getLogger("serve")

ID = "X-Request-ID"
"""The header with a request's id, in both directions."""

_LEGAL = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def request_id(given: str) -> str:
    """The id that a client has given, where it is one that may stand in a log; else a new one."""
    return given if _LEGAL.fullmatch(given) else uuid.uuid4().hex


def refusal(request: Request, status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request that is refused, told in the log as well."""
    client = request.client.host if request.client else "-"
    known = request.state.request_id
    logger.warning("%s %s %s %r: %d %s", known, client, request.method, request.url.path[:200], status, error)
    request.state.error = error
    return JSONResponse({"success": False, "error": error, "request_id": known}, status, headers)
