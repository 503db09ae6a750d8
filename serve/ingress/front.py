"""What sees a request before Ray Serve does, whichever ingress it came through."""

import json
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.refusal import ID, request_id

CALLBACK = f"{__name__}.middlewares"
"""For RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""

_ORDERS = ("x-request-timeout-seconds", "x-request-disconnect-disabled")
"""Headers by which Serve lets a client switch off the time limit and the end of what nobody waits for."""
_SENTENCES = {
    408: "The request took longer than this service allows; send a smaller picture or try again.",
    503: "The service is too busy, starts or ends; try again in 1 s.",
}
_OTHER = "The service failed to answer this request; its log says why."


class Front:
    """ASGI middleware around Serve's: one request id, which is legal, in and out, and Serve's own refusals in JSON.

    Serve echoes whatever id a client sends, in a second header beside the application's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        known = headers[ID] = request_id(headers.get(ID, ""))
        for name in _ORDERS:
            del headers[name]
        replaced: bytes | None = None

        async def told(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out[ID] = known
                if _by_serve(message["status"], out, scope["path"]):
                    replaced = _refuse(message, out, known)
            elif replaced is not None:
                message = {"type": "http.response.body", "body": replaced, "more_body": message.get("more_body", False)}
                replaced = b""
            await send(message)

        await self.app(scope, receive, told)


def middlewares() -> Iterable[Middleware]:
    """What Serve calls in each process that speaks HTTP."""
    return [Middleware(Front)]


def _by_serve(status: int, headers: Headers, path: str) -> bool:
    """Whether Serve itself refuses: the application does so in JSON only."""
    text = headers.get("content-type", "").startswith("text/plain")
    return status >= 400 and text and not path.startswith("/-/")


def _refuse(message: Message, headers: MutableHeaders, known: str) -> bytes:
    # The application answers at every path: where Serve finds nothing, the application is not there.
    status = message["status"] = 503 if message["status"] == 404 else message["status"]
    if status == 503:
        headers["Retry-After"] = "1"
    error = _SENTENCES.get(status, _OTHER)
    body = json.dumps({"success": False, "error": error, "request_id": known}).encode()
    headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(body))
    return body
