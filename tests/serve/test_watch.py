"""Request ids, the request log and the figures."""

import json
import logging
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from imgcls_ray.errors import StorageError
from serve.model.predictor import Predictor
from serve.record.log import check_log
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import picture_bytes


def test_a_request_keeps_its_own_id_or_gets_one(client: TestClient) -> None:
    response = client.get("/livez", headers={"X-Request-ID": "order-17:a"})
    assert response.headers["x-request-id"] == "order-17:a"
    for given in ("", "two words", "x" * 129, "a\tb"):
        ours = client.get("/livez", headers={"X-Request-ID": given}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", ours)


def test_the_answer_says_where_the_time_went(client: TestClient) -> None:
    response = client.post("/classify", files={"img": picture_bytes()})
    assert re.fullmatch(
        r"read;dur=[\d.]+, wait;dur=[\d.]+, decode;dur=[\d.]+, predict;dur=[\d.]+", response.headers["server-timing"]
    )
    assert "server-timing" not in client.get("/livez").headers


def test_each_request_has_a_line_in_the_log(predictor: Predictor, settings: ServeSettings, tmp_path: Path) -> None:
    file = tmp_path / "requests.log"
    predictor.warm_up()
    client = TestClient(build_app(predictor, settings.model_copy(update={"request_log": str(file)})))
    client.post("/classify", files=[("img", picture_bytes(51)), ("img", b"broken")], headers={"X-Request-ID": "one"})
    file.rename(tmp_path / "requests.log.1")
    client.get("/nowhere")
    [first] = map(json.loads, (tmp_path / "requests.log.1").read_text().splitlines())
    assert first["request_id"] == "one"
    assert (first["method"], first["path"], first["status"]) == ("POST", "/classify", 200)
    assert first["model"] == {"name": "brightness", "version": "3"}
    assert first["answers"][0] == {"label": "dark", "probability": pytest.approx(0.8), "decision": "sure"}
    assert "picture" in first["answers"][1]["error"]
    assert set(first["stages"]) == {"read", "wait", "decode", "predict"}
    assert first["ms"] >= max(first["stages"].values()) - 0.01
    [second] = map(json.loads, file.read_text().splitlines())
    assert (second["status"], "nothing at this path" in second["error"]) == (404, True)


def figures(client: TestClient) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value for sample in samples}


def test_prometheus_reads_requests_stages_and_answers(
    client: TestClient, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/classify", files={"img": picture_bytes(51)})
    client.post("/classify", files={"img": picture_bytes(128)})
    client.post("/classify", files={"img": b"broken"})
    client.get("/nowhere/1")
    client.get("/nowhere/2")

    async def broken(*_: object) -> list[object]:
        raise RuntimeError

    monkeypatch.setattr(predictor, "classify", broken)
    assert client.post("/classify", files={"img": picture_bytes()}).status_code == 500
    found = figures(client)
    assert found["imgcls_requests_total", "/classify", "200"] == 2
    assert found["imgcls_requests_total", "/classify", "400"] == 1
    assert found["imgcls_requests_total", "/classify", "500"] == 1
    assert found["imgcls_requests_total", "other", "404"] == 2
    assert found["imgcls_answers_total", "champion", "sure", "dark"] == 1
    assert found["imgcls_answers_total", "champion", "unsure", "bright"] == 1
    assert found["imgcls_stage_seconds_count", "decode"] == 3
    assert found["imgcls_request_seconds_count", "/classify"] == 4
    assert found["imgcls_requests_in_work",] == 1  # the one that asks


def test_a_log_that_can_not_be_written_costs_no_answer(
    predictor: Predictor, settings: ServeSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = folder / "requests.log"
    client = TestClient(build_app(predictor, settings.model_copy(update={"request_log": str(file)})))
    assert client.get("/livez").status_code == 200
    folder.rename(tmp_path / "away")
    with caplog.at_level(logging.ERROR):
        assert [client.get("/nowhere").status_code for _ in range(3)] == [404] * 3
    assert [record.getMessage().count("can't be written") for record in caplog.records] == [1]
    folder.mkdir()
    client.get("/nowhere")
    assert len(file.read_text().splitlines()) == 1


def test_a_place_for_the_log_is_checked_before_the_start(tmp_path: Path) -> None:
    check_log(tmp_path / "requests.log")
    with pytest.raises(StorageError, match=r"can't be \(No such file .* --request-log"):
        check_log(tmp_path / "none" / "requests.log")
