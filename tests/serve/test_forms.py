"""The forms in which pictures come, and the shapes of the answers."""

import base64
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.serve.conftest import picture_bytes

DARK, BRIGHT = picture_bytes(51), picture_bytes(204)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def about(document: dict[str, Any]) -> dict[str, Any]:
    """The answer without what is told of model and request."""
    assert document.pop("model") == {"name": "brightness", "version": "3"}
    assert document.pop("request_id")
    return document


@pytest.fixture
def single(client: TestClient) -> dict[str, Any]:
    return about(client.post("/classify", files={"img": DARK}).json())


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg; q=1", "application/octet-stream"])
def test_a_picture_may_be_the_body_itself(client: TestClient, single: dict[str, Any], kind: str) -> None:
    assert about(client.post("/classify", content=DARK, headers={"content-type": kind}).json()) == single


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_a_picture_may_be_base64_in_json(client: TestClient, single: dict[str, Any], head: str) -> None:
    assert about(client.post("/classify", json={"image": head + b64(DARK)}).json()) == single


def test_several_pictures_get_their_results_in_order(client: TestClient, single: dict[str, Any]) -> None:
    forms: list[dict[str, Any]] = [
        {"files": [("img", DARK), ("img", BRIGHT), ("img", b"broken")]},
        {"json": {"images": [b64(DARK), b64(BRIGHT), b64(b"broken")]}},
    ]
    for form in forms:
        response = client.post("/classify", **form)
        assert response.status_code == 200
        answer = about(response.json())
        assert answer["success"] is False
        first, second, third = answer["results"]
        assert first == single
        assert second["predictions"][0]["label"] == "bright"
        assert set(third) == {"success", "error"}


def test_a_list_of_one_is_still_a_list(client: TestClient, single: dict[str, Any]) -> None:
    answer = about(client.post("/classify", json={"images": [b64(DARK)]}).json())
    assert answer == {"results": [single], "success": True}


def test_instances_are_answered_as_cloud_services_do(client: TestClient) -> None:
    instances = [{"key": "a", "image_bytes": {"b64": b64(DARK)}}, {"b64": b64(BRIGHT)}, {"b64": b64(b"broken")}]
    first, second, third = about(client.post("/classify", json={"instances": instances}).json())["predictions"]
    assert first == {
        "key": "a",
        "prediction": 1,
        "scores": [pytest.approx(0.2, abs=1e-6), pytest.approx(0.8, abs=1e-6)],
    }
    assert (second["key"], second["prediction"]) == (None, 0)
    assert third["prediction"] is None
    assert third["error"]


def test_top_k_names_the_likeliest_classes(client: TestClient, single: dict[str, Any]) -> None:
    for top in (1, 2, 9):
        answer = client.post(f"/classify?top_k={top}", files={"img": DARK}).json()
        assert answer["predictions"] == single["predictions"][:top]


@pytest.mark.parametrize("top", ["0", "-1", "x", "1.5"])
def test_another_top_k_is_422(client: TestClient, top: str) -> None:
    response = client.post(f"/classify?top_k={top}", files={"img": DARK})
    assert response.status_code == 422
    assert "'top_k'" in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[" * 100_00, 400, "nested too deeply"),
        (b"\xff", 400, "no JSON"),
        (b"[]", 400, "a list"),
        (b"null", 400, "null"),
        (b"{}", 422, '"instances"'),
        (b'{"image": 3}', 422, "a number"),
        (b'{"image": "\xc3\xa4"}', 422, "'image' is no base64"),
        (b'{"images": []}', 422, "an empty list"),
        (b'{"images": {"a": 1}}', 422, "an object"),
        (b'{"images": [true]}', 422, "'images[0]'"),
        (b'{"instances": [3]}', 422, "'instances[0]'"),
        (b'{"instances": [{"key": "a"}]}', 422, "'instances[0]' has no picture"),
        (b'{"instances": [{"image_bytes": {"b64": "="}}]}', 422, "image_bytes.b64' is no base64"),
    ],
)
def test_json_that_breaks_a_rule_gets_a_sentence(client: TestClient, body: bytes, status: int, said: str) -> None:
    response = client.post("/classify", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert said in response.json()["error"]


def test_more_pictures_than_allowed_are_422(client: TestClient) -> None:
    response = client.post("/classify", json={"images": [b64(DARK)] * 5})
    assert response.status_code == 422
    assert "at most 4 pictures; received 5" in response.json()["error"]


def test_labels_are_in_the_order_of_scores(client: TestClient) -> None:
    assert client.get("/labels").json() == {"labels": ["bright", "dark"]}
    assert client.get("/model").json()["version"] == "3"
