"""The Open Inference Protocol, in JSON and in its binary form."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.serve.conftest import picture_bytes

DARK, BRIGHT = picture_bytes(51), picture_bytes(204)
INFER = "/v2/models/brightness/infer"


def tensor(*pictures: bytes, **changed: Any) -> dict[str, Any]:
    data = [base64.b64encode(picture).decode() for picture in pictures]
    return {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data} | changed


def packed(*pictures: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures)


def test_it_tells_of_itself_and_its_model(client: TestClient) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    for path in ("/v2/health/ready", "/v2/models/brightness/ready", "/v2/models/brightness/versions/3/ready"):
        assert client.get(path).json()["ready"] is True
    model = client.get("/v2/models/brightness").json()
    assert (model["name"], model["versions"]) == ("brightness", ["3"])
    assert model["outputs"][0] == {"name": "scores", "datatype": "FP32", "shape": [-1, 2]}


def test_pictures_in_json(client: TestClient) -> None:
    answer = client.post(INFER, json={"id": "7", "inputs": [tensor(DARK, BRIGHT)]}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("brightness", "3", "7")
    scores, label, decision = answer["outputs"]
    assert (scores["name"], scores["shape"]) == ("scores", [2, 2])
    assert scores["data"] == pytest.approx([0.2, 0.8, 0.8, 0.2], abs=1e-6)
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["dark", "bright"]}
    assert decision["data"] == ["sure", "sure"]


def test_pictures_in_the_binary_form(client: TestClient) -> None:
    data = packed(DARK, BRIGHT)
    head = json.dumps(
        {
            "inputs": [
                {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(data)}}
            ],
            "outputs": [{"name": "label", "parameters": {"binary_data": True}}, {"name": "scores"}],
        }
    ).encode()
    response = client.post(
        "/v2/models/brightness/versions/3/infer",
        content=head + data,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    size = int(response.headers["Inference-Header-Content-Length"])
    label, scores = json.loads(response.content[:size])["outputs"]
    assert label["parameters"] == {"binary_data_size": len(response.content) - size}
    assert response.content[size:] == packed(b"dark", b"bright")
    assert scores["data"] == pytest.approx([0.2, 0.8, 0.8, 0.2], abs=1e-6)


def test_all_outputs_in_the_binary_form(client: TestClient) -> None:
    asked = {"inputs": [tensor(DARK)], "parameters": {"binary_data_output": True}}
    response = client.post(INFER, json=asked)
    size = int(response.headers["Inference-Header-Content-Length"])
    assert np.frombuffer(response.content[size : size + 8], "<f4") == pytest.approx([0.2, 0.8], abs=1e-6)
    assert response.content[size + 8 :] == packed(b"dark") + packed(b"sure")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "one input"),
        ({"inputs": [tensor(DARK), tensor(DARK)]}, "one input"),
        ({"inputs": [tensor(DARK, name="x")]}, "'image' with datatype BYTES"),
        ({"inputs": [tensor(DARK, datatype="FP32")]}, "'image' with datatype BYTES"),
        ({"inputs": [tensor(DARK, shape=[2])]}, "shape is [1]"),
        ({"inputs": [tensor(DARK, data=["="])]}, "'data[0]' is no base64"),
        ({"inputs": [tensor()]}, "an empty list"),
        ({"inputs": [tensor(DARK, parameters={"binary_data_size": 7})]}, "binary_data_size is 0"),
        ({"inputs": [tensor(DARK)], "outputs": [{"name": "x"}]}, "outputs are scores, label, decision"),
        ({"inputs": [tensor(DARK)], "outputs": {"name": "x"}}, "'outputs' is a list"),
        ({"inputs": [tensor(*[DARK] * 5)]}, "at most 4 pictures"),
    ],
)
def test_a_request_that_breaks_a_rule_gets_a_sentence(client: TestClient, asked: dict[str, Any], said: str) -> None:
    response = client.post(INFER, json=asked)
    assert response.status_code == 422
    assert said in response.json()["error"]


def test_a_broken_picture_is_named(client: TestClient) -> None:
    response = client.post(INFER, json={"inputs": [tensor(DARK, b"broken")]})
    assert response.status_code == 400
    assert "Picture 1 of the request" in response.json()["error"]


@pytest.mark.parametrize("header", ["-1", "x", "99999999", "1" * 50])
def test_a_wrong_length_of_the_json_is_400(client: TestClient, header: str) -> None:
    response = client.post(INFER, content=b"{}", headers={"Inference-Header-Content-Length": header})
    assert response.status_code == 400


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_an_element_that_is_cut_off_is_422(client: TestClient, cut: int) -> None:
    data = packed(DARK)[:-cut]
    head = json.dumps({"inputs": [tensor(DARK, data=None, parameters={"binary_data_size": len(data)})]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    response = client.post(INFER, content=head + data, headers=headers)
    assert response.status_code == 422
    assert "cut off" in response.json()["error"]


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/brightness/versions/2", "/v2/models/other/ready"])
def test_another_model_or_version_is_404(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert "'brightness', version 3" in response.json()["error"]


def test_thousands_of_empty_elements_are_not_looked_at(client: TestClient) -> None:
    many = [b""] * 1_500
    data = packed(*many)
    head = json.dumps({"inputs": [tensor(*many, data=None, parameters={"binary_data_size": len(data)})]}).encode()
    answers = [
        client.post(INFER, content=head + data, headers={"Inference-Header-Content-Length": str(len(head))}),
        client.post(INFER, json={"inputs": [tensor(*many)]}),
        client.post("/classify", json={"images": [""] * 1_500}),
        client.post("/classify", json={"instances": [{}] * 1_500}),
    ]
    assert [answer.status_code for answer in answers] == [422] * 4
    assert all("at most 1000" in answer.json()["error"] for answer in answers)
