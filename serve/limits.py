"""Bounds that hold before any handler sees the request."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import too_large


class BodyLimit:
    """ASGI middleware: no body above `max_bytes` is read, whether it declares its length or not.

    Neither uvicorn nor Ray Serve bounds a body. A declared length is refused at once; otherwise the bytes are counted
    while the handler reads, and reading raises `RequestRefused` (413), which the application turns into its answer.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self.max_bytes:
            refusal = too_large(self.max_bytes)
            answer = JSONResponse({"success": False, "error": str(refusal)}, refusal.http_status)
            await answer(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_bytes:
                raise too_large(self.max_bytes)
            return message

        await self.app(scope, bounded, send)
