"""Bounds that hold before any handler sees the request."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import too_large


class BodyLimit:
    """ASGI middleware: no body above `max_bytes` is read, whether it declares its length or not.

    Neither uvicorn nor Ray Serve bounds a body. A body is measured by its declared length before anything is read, and
    by counting while it is read; above the bound, reading raises `RequestRefused` (413), which the application turns
    into its answer. A handler that does not read the body is not disturbed.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        declared = int(length[:20]) if length.isdecimal() else 0
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            if declared > self.max_bytes:
                raise too_large(self.max_bytes)
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_bytes:
                raise too_large(self.max_bytes)
            return message

        await self.app(scope, bounded, send)
