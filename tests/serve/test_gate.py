"""API keys and the rate limit."""

import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from imgcls_ray.errors import SettingsError
from serve.guard.keys import ApiKeys
from serve.guard.rate import RateLimit
from serve.model.predictor import Predictor
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import picture_bytes

KEY, OTHER = "a-key-of-some-length", "another-key-of-some-length"


def serving(predictor: Predictor, settings: ServeSettings, **more: Any) -> TestClient:
    predictor.warm_up()
    return TestClient(build_app(predictor, settings.model_copy(update=more)))


@pytest.fixture
def guarded(predictor: Predictor, settings: ServeSettings, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("IMGCLS_API_KEYS", f"{KEY},{OTHER}")
    return serving(predictor, settings, auth=True)


def test_every_key_is_good_in_either_header(guarded: TestClient) -> None:
    for key in (KEY, OTHER):
        for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key} "}, {"X-API-Key": key}):
            assert guarded.get("/model", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": "\xff"},
    ],
)
def test_without_a_known_key_all_but_livez_is_401(guarded: TestClient, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/model", "/metrics", "/openapi.json", "/v2/health/ready", "/nowhere"):
        response = guarded.get(path, headers=raw)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert KEY not in response.text
    assert guarded.post("/classify", files={"img": picture_bytes()}, headers=raw).status_code == 401
    assert guarded.get("/livez", headers=raw).status_code == 200


def test_no_key_shows_in_a_log(guarded: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    guarded.get("/nowhere", headers={"X-API-Key": KEY})
    guarded.get("/model", headers={"X-API-Key": "wrong-but-long-enough"})
    assert "404" in caplog.text
    assert "401" in caplog.text
    assert KEY not in caplog.text
    assert "wrong-but" not in caplog.text


def test_keys_in_a_file_can_be_changed_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, now = tmp_path / "keys", [0.0]
    monkeypatch.setattr("serve.guard.keys.time.monotonic", lambda: now[0])
    file.write_text(f"# ours\n{KEY}\n")
    keys = ApiKeys(file)
    assert keys.holder(KEY)
    assert not keys.holder(OTHER)

    def change(text: str) -> None:
        file.write_text(text)
        os.utime(file, ns=(int(now[0]) + 1, int(now[0]) + 1))
        now[0] += 2

    change(f"{KEY}\n{OTHER}\n")
    assert keys.holder(KEY) != keys.holder(OTHER)
    change(OTHER)
    assert not keys.holder(KEY)
    for broken in ("", "short"):  # what is half written takes nobody's key away
        change(broken)
        assert keys.holder(OTHER)
    file.unlink()
    now[0] += 2
    assert keys.holder(OTHER)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "can't be read"), ("# none\n", "has none"), ("short", "16 characters")]
)
def test_a_service_without_good_keys_does_not_start(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        ApiKeys(file)


def test_the_limit_is_each_keys_own(
    predictor: Predictor, settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLS_API_KEYS", f"{KEY} {OTHER}")
    client = serving(predictor, settings, auth=True, rate_limit=0.01)
    assert client.get("/model", headers={"X-API-Key": KEY}).status_code == 200
    response = client.get("/model", headers={"X-API-Key": KEY})
    assert response.status_code == 429
    assert 90 <= int(response.headers["retry-after"]) <= 100
    assert client.get("/model", headers={"X-API-Key": OTHER}).status_code == 200
    assert client.get("/livez").status_code == 200


def test_tokens_come_back_with_time() -> None:
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 1]
    assert limit.wait("b") == 0
    now[0] += 0.5
    assert [limit.wait("a") for _ in range(2)] == [0, 1]
    now[0] += 100
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 1]


def test_pages_of_other_origins_may_ask_where_that_is_set(predictor: Predictor, settings: ServeSettings) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    refused = serving(predictor, settings).options("/classify", headers=asked)
    assert "access-control-allow-origin" not in refused.headers
    allowed = serving(predictor, settings, cors=("https://shop.example",)).options("/classify", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
