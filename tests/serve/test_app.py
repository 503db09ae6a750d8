import asyncio

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from serve.errors import RequestRefused
from serve.guard.limits import BodyLimit
from serve.model.predictor import Predictor
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import picture_bytes


def _error(response) -> str:
    body = response.json()
    assert set(body) == {"success", "error", "request_id"}
    assert body["success"] is False
    assert body["error"].endswith(".")
    return body["error"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_a_picture_gets_every_class_highest_first(client: TestClient, kind: str) -> None:
    response = client.post("/classify", files={"img": ("x", picture_bytes(51, kind=kind))})
    assert response.status_code == 200
    assert response.json() == {
        "predictions": [
            {"label": "dark", "probability": pytest.approx(0.8, abs=0.01)},
            {"label": "bright", "probability": pytest.approx(0.2, abs=0.01)},
        ],
        "decision": "sure",
        "success": True,
        "model": {"name": "brightness", "version": "3"},
        "request_id": response.headers["x-request-id"],
    }


def test_a_picture_that_could_be_either_is_unsure(client: TestClient) -> None:
    assert client.post("/classify", files={"img": ("x", picture_bytes(128))}).json()["decision"] == "unsure"


def test_a_broken_picture_is_400(client: TestClient) -> None:
    for data in (b"", b"no picture", picture_bytes()[:60]):
        response = client.post("/classify", files={"img": ("x.png", data)})
        assert response.status_code == 400
        assert "picture can't be used" in _error(response)


def test_a_form_without_the_field_is_422(client: TestClient) -> None:
    for form in ({"files": {"image": ("x.png", picture_bytes())}}, {"files": {"o": b""}, "data": {"img": "text"}}):
        response = client.post("/classify", **form)
        assert response.status_code == 422
        assert "'img'" in _error(response)


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"content-encoding": "gzip"}])
def test_another_kind_of_body_is_415(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/classify", content=picture_bytes(), headers=headers)
    assert response.status_code == 415
    assert any(word in _error(response) for word in ("multipart/form-data", "compressed"))


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=x", "; boundary=" + "y" * 300])
def test_a_form_that_can_not_be_parsed_is_4xx(client: TestClient, boundary: str) -> None:
    response = client.post(
        "/classify", content=b"--nothing of the kind", headers={"content-type": f"multipart/form-data{boundary}"}
    )
    assert response.status_code in (400, 422)
    _error(response)


def test_a_wrong_method_is_405_with_allow(client: TestClient) -> None:
    response = client.get("/classify")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert "POST" in _error(response)


def test_an_unknown_path_is_404_and_names_the_others(client: TestClient) -> None:
    response = client.get("/predict")
    assert response.status_code == 404
    assert "/classify" in _error(response)


def test_a_declared_length_above_the_bound_is_413(client: TestClient) -> None:
    response = client.post("/classify", files={"img": b"x" * 30_000})
    assert response.status_code == 413
    assert "20,000 bytes" in _error(response)


def test_an_undeclared_length_is_counted_and_reading_stops(client: TestClient) -> None:
    sent = 0

    def endless():
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="img"; filename="a"\r\n\r\n'
        while sent < 1000:
            sent += 1
            yield b"x" * 1000

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post("/classify", content=endless(), headers=headers)
    assert response.status_code == 413
    assert "20,000 bytes" in _error(response)


@pytest.mark.parametrize("before", [0, 300])
def test_a_body_that_trickles_is_408_and_one_that_is_there_may_be_answered_slowly(before: int) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.1)  # for a disconnection, as long as it takes
        await send({"type": "http.response.start", "status": 200})

    async def asked(ends: bool) -> list[Message]:
        parts = [{"type": "http.request", "body": b"x", "more_body": True}] * before
        parts += [{"type": "http.request", "body": b"x", "more_body": False}] * ends
        sent: list[Message] = []

        async def receive() -> Message:
            return parts.pop(0) if parts else await asyncio.Event().wait()  # type: ignore[return-value]

        async def send(message: Message) -> None:
            sent.append(message)

        limited = BodyLimit(application, max_bytes=1000, patience=0.05)
        await limited({"type": "http", "headers": []}, receive, send)
        return sent

    assert asyncio.run(asked(ends=True))[0]["status"] == 200
    with pytest.raises(RequestRefused, match=f"too slowly: {before} bytes") as refused:
        asyncio.run(asked(ends=False))
    assert refused.value.http_status == 408


def test_too_many_pixels_are_413(client: TestClient) -> None:
    response = client.post("/classify", files={"img": picture_bytes(size=(101, 100))})
    assert response.status_code == 413
    error = _error(response)
    assert "10,000 pixels" in error
    assert "101x100" in error
    assert client.post("/classify", files={"img": picture_bytes(size=(100, 100))}).status_code == 200


def test_a_full_service_is_503_with_retry_after(client: TestClient, predictor: Predictor) -> None:
    with predictor.slot(), predictor.slot(), predictor.slot():
        response = client.post("/classify", files={"img": picture_bytes()})
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        _error(response)
    assert client.post("/classify", files={"img": picture_bytes()}).status_code == 200


def test_refused_requests_give_their_place_back(client: TestClient) -> None:
    for _ in range(5):
        client.post("/classify", files={"img": b"broken"})
    assert client.post("/classify", files={"img": picture_bytes()}).status_code == 200


def test_a_bug_is_500_without_its_text(
    client: TestClient, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> list[object]:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(predictor, "classify", broken)
    response = client.post("/classify", files={"img": picture_bytes()})
    assert response.status_code == 500
    assert "secret" not in _error(response)
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_readyz_waits_for_the_model_and_livez_does_not(predictor: Predictor, settings: ServeSettings) -> None:
    client = TestClient(build_app(predictor, settings))
    assert client.get("/livez").json() == {"live": True}
    assert client.get("/readyz").status_code == 503
    _error(client.get("/readyz"))
    predictor.warm_up()
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "model": {
            "name": "brightness",
            "version": "3",
            "labels": 2,
            "height": 8,
            "width": 8,
            "colorspace": "color",
        },
    }


def test_openapi_tells_the_bodies_the_answers_and_their_examples(client: TestClient) -> None:
    api = client.get("/openapi.json").json()
    assert {"/classify", "/labels", "/model", "/livez", "/readyz", "/metrics", "/v2/models/{name}/infer"} <= set(
        api["paths"]
    )
    post = api["paths"]["/classify"]["post"]
    body = post["requestBody"]["content"]
    assert body["multipart/form-data"]["schema"]["required"] == ["img"]
    assert set(post["responses"]) == {"200", "400", "401", "408", "413", "415", "422", "429", "502", "503", "504"}
    for status, response in post["responses"].items():
        schema = response["content"]["application/json"]["schema"]
        name = schema.get("anyOf", [schema])[0]["$ref"].rsplit("/", 1)[1]
        [example] = api["components"]["schemas"][name]["examples"]
        assert example["success"] is (status == "200")
    for example in body["application/json"]["examples"].values():
        assert client.post("/classify", json=example["value"]).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_pages_need_nothing_from_the_internet(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
