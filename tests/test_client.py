"""The client, against the application itself."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from imgcls_ray.client import Client, ServiceRefused
from imgcls_ray.errors import ClusterError, DataError, SettingsError
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import BrightnessBundle, picture_bytes

KEY = "a-key-of-some-length"


def through(app: TestClient) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        got = app.request(request.method, str(request.url), content=request.read(), headers=dict(request.headers))
        return httpx.Response(got.status_code, headers=dict(got.headers), content=got.content)

    return httpx.MockTransport(answer)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("IMGCLS_API_KEYS", KEY)
    settings = ServeSettings(model="stand-in", auth=True, max_pixels=10_000)
    predictor = Predictor(Served(BrightnessBundle(), "3"), settings)  # type: ignore[arg-type]
    predictor.warm_up()
    return TestClient(build_app(predictor, settings))


@pytest.fixture
def client(app: TestClient) -> Client:
    return Client("http://testserver/", KEY, transport=through(app))


def test_pictures_get_their_answers(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "dark.png"
    file.write_bytes(picture_bytes(51))
    answer = client.classify(file)
    assert (answer.image, answer.decision, answer.error) == (str(file), "sure", None)
    assert [row["label"] for row in answer.predictions] == ["dark", "bright"]
    assert client.classify(file.read_bytes(), top=1).predictions == answer.predictions[:1]
    assert client.labels() == ["bright", "dark"]
    assert client.model()["version"] == "3"


@pytest.mark.parametrize(
    ("data", "said"), [(b"broken", "can't be used"), (picture_bytes(size=(101, 100)), "10,000 pixels")]
)
def test_what_is_no_picture_has_an_error(client: Client, data: bytes, said: str) -> None:
    answer = client.classify(data)
    assert answer.predictions == []
    assert said in (answer.error or "")


def test_a_wrong_key_is_told(app: TestClient) -> None:
    with pytest.raises(ServiceRefused, match="API key") as caught:
        Client("http://testserver", "another-key-of-some-length", transport=through(app)).labels()
    assert caught.value.status == 401


def test_a_busy_service_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("imgcls_ray.client.time.sleep", slept.append)
    answers = [
        httpx.Response(503, headers={"Retry-After": "2"}, json={"error": "Busy."}),
        httpx.Response(429, headers={"Retry-After": "999"}, json={"error": "Too often."}),
        httpx.Response(200, json={"labels": ["a"]}),
    ]
    client = Client(transport=httpx.MockTransport(lambda _: answers.pop(0)))
    assert client.labels() == ["a"]
    assert slept == [2.0, 30.0]
    busy = Client(tries=2, transport=httpx.MockTransport(lambda _: httpx.Response(503, json={"error": "Busy."})))
    with pytest.raises(ClusterError, match=r"stays busy after 2 tries: Busy\."):
        busy.labels()


def test_a_service_that_hangs_up_is_asked_again() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(200, json={"labels": ["one"]})

    with Client("http://service", transport=httpx.MockTransport(answer)) as client:
        assert client.labels() == ["one"]
    assert len(asked) == 2


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"No service answers at http://127\.0\.0\.1:9"):
        Client("http://127.0.0.1:9").labels()
    with pytest.raises(SettingsError, match="starts with http"):
        Client("127.0.0.1:8000")
    with pytest.raises(DataError, match="can't be read"):
        Client().classify(tmp_path / "none.jpg")
    other = Client(transport=httpx.MockTransport(lambda _: httpx.Response(404, text="<html>")))
    with pytest.raises(ServiceRefused, match="no service of imgcls: status 404"):
        other.labels()


def test_it_loads_nothing_heavy() -> None:
    code = (
        "import imgcls_ray.client, sys;"
        "print([m for m in ('ray', 'tensorflow', 'keras', 'mlflow', 'numpy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_answers_otherwise_is_told() -> None:
    moved = Client(transport=httpx.MockTransport(lambda _: httpx.Response(301, headers={"Location": "https://x/"})))
    with pytest.raises(ServiceRefused, match="sends to 'https://x/': give the service's own address"):
        moved.labels()
    page = Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>")))
    for ask in (page.labels, page.model, lambda: page.classify(b"x")):
        with pytest.raises(ClusterError, match="no service of imgcls: it sends no JSON"):
            ask()
    with pytest.raises(SettingsError, match="http://HOST:PORT; received 'http://host:abc'"):
        Client("http://host:abc").labels()
    with pytest.raises(SettingsError, match="ASCII"):
        Client(key="schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel")
