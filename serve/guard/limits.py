"""Bounds that hold before any handler sees the request."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import too_large, too_slow

PATIENCE = 20.0
"""Seconds in which a body has to be there, and one more for each `RATE` bytes of it that have come: Apache's rule
(mod_reqtimeout). Who reads holds a place among the requests in work."""
RATE = 50_000


class BodyLimit:
    """ASGI middleware: no body above `max_bytes` is read, whether it declares its length or not, nor one that trickles.

    Neither uvicorn nor Ray Serve bounds a body. A body is measured by its declared length before anything is read, and
    by counting while it is read; above the bound reading raises `RequestRefused` (413), and so it does after `patience`
    seconds and one for each `RATE` bytes (408). The application turns that into its answer. A handler that does not
    read the body is not disturbed.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, patience: float = PATIENCE) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        declared = int(length[:20]) if length.isdecimal() else 0
        seen, came, loop = 0, False, asyncio.get_running_loop()
        began = loop.time()

        async def bounded() -> Message:
            nonlocal seen, came
            if declared > self.max_bytes:
                raise too_large(self.max_bytes)
            if came:  # what is waited for now is the client's leaving
                return await receive()
            try:
                async with asyncio.timeout_at(began + self.patience + seen / RATE):
                    message = await receive()
            except TimeoutError:
                raise too_slow(seen) from None
            seen += len(message.get("body", b""))
            came = not message.get("more_body", False)
            if seen > self.max_bytes:
                raise too_large(self.max_bytes)
            return message

        await self.app(scope, bounded, send)
