"""What sees every request from its first to its last byte: its id, its times, its line in the log, its figures."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.record.log import RequestLog
from serve.record.meters import Meters
from serve.refusal import ID, request_id
from serve.stages import Stages


class Watch:
    """ASGI middleware, the outermost. A client's own request id is kept where it is one."""

    def __init__(self, app: ASGIApp, meters: Meters, log: RequestLog | None) -> None:
        self.app, self._meters, self._log = app, meters, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, stages = Request(scope), Stages()
        request.state.request_id = request_id(Headers(scope=scope).get(ID, ""))
        request.state.stages = stages
        status = 500  # an error that nobody has an answer for goes through here to Starlette's last handler

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[ID] = request.state.request_id
                if stages.milliseconds:
                    headers["Server-Timing"] = stages.header()
            await send(message)

        with self._meters.in_work():
            try:
                await self.app(scope, receive, told)
            finally:
                self._meters.count(request, status, stages)
                if self._log:
                    self._log.write(request, status, stages)
