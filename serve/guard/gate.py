"""Who is let in: API keys and the rate limit, before a body is read."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.guard.keys import ApiKeys
from serve.guard.rate import RateLimit
from serve.refusal import refusal

OPEN = frozenset({"/livez", "/", "/docs"})
"""Paths that need no key and have no limit: whoever watches over the process asks there, and the pages hold
nothing and ask with the key that their user types."""


class Gate:
    """ASGI middleware: 401 without a known key, 429 for those who ask too often."""

    def __init__(self, app: ASGIApp, keys: ApiKeys | None, rate: RateLimit | None) -> None:
        self.app, self._keys, self._rate = app, keys, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        who = request.client.host if request.client else "-"
        if self._keys is not None:
            holder = self._keys.holder(_given(request.headers))
            if holder is None:
                sentence = "This service needs an API key; send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
                await refusal(request, 401, sentence, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            who = request.state.key = holder
        seconds = self._rate.wait(who) if self._rate else 0
        if seconds:
            sentence = f"You ask more often than this service allows; try again in {seconds} s."
            await refusal(request, 429, sentence, {"Retry-After": str(seconds)})(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _given(headers: Headers) -> str:
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
