"""What stands around Serve's own ASGI application."""

from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.ingress.front import Front, middlewares


def _answer(request: Request) -> Response:
    status = int(request.query_params.get("status", "200"))
    told = ",".join(sorted(name for name in request.headers if name.startswith("x-")))
    return PlainTextResponse(told, status, {"X-Request-ID": request.headers["x-request-id"]})


class _Serves:
    """As Serve's own middleware: the id that came is told in a header more."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = dict(scope["headers"])[b"x-request-id"]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", known)]
            await send(message)

        await self.app(scope, receive, told)


def _client() -> TestClient:
    return TestClient(Front(_Serves(Starlette(routes=[Route(path, _answer) for path in ("/", "/-/healthz")]))))


def test_an_answer_has_one_request_id() -> None:
    for given, kept in (("mine", True), ("not one", False)):
        found = _client().get("/", headers={"X-Request-ID": given}).headers.get_list("X-Request-ID")
        assert len(found) == 1
        assert (found[0] == given) is kept
    assert len(_client().get("/").headers.get_list("X-Request-ID")) == 1


def test_a_client_does_not_switch_serves_time_limit_off() -> None:
    headers = {"X-Request-Timeout-Seconds": "0", "X-Request-Disconnect-Disabled": "?1", "X-Api-Key": "k"}
    assert _client().get("/", headers=headers).text == "x-api-key,x-request-id"


def test_serves_own_refusals_are_sentences() -> None:
    for status in (404, 408, 500, 503):
        response = _client().get("/", params={"status": status}, headers={"X-Request-ID": "mine"})
        status = 503 if status == 404 else status  # Serve says so while the application is not there
        assert response.status_code == status
        answer = response.json()
        assert answer == {"success": False, "error": answer["error"], "request_id": "mine"}
        assert answer["error"].endswith(".")
        assert response.headers.get("Retry-After") == ("1" if status == 503 else None)


def test_serves_health_check_stays_as_it_is() -> None:
    assert _client().get("/-/healthz", params={"status": 503}).text == "x-request-id"


def test_serve_is_given_it() -> None:
    from ray.serve._private.http_util import validate_http_proxy_callback_return

    from serve.ingress.front import CALLBACK

    assert f"{middlewares.__module__}.{middlewares.__name__}" == CALLBACK
    assert [one.cls for one in validate_http_proxy_callback_return(middlewares())] == [Front]
