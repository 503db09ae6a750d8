"""A canary answers its share, the same ids each time; a shadow is compared and never heard."""

import threading
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from imgcls_ray.data.labels import Labels
from imgcls_ray.errors import ModelError
from imgcls_ray.tracking.registry import Located
from serve.model import loading
from serve.model.predictor import Predictor
from serve.model.served import Arm, Served
from serve.model.shadow import Shadow
from serve.model.traffic import Traffic, place_of
from serve.record.meters import Meters
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import BrightnessBundle, picture_bytes


class Contrary(BrightnessBundle):
    """Calls dark what the other calls bright."""

    path = Path("contrary")

    def _answer(self, bright: float) -> np.ndarray:
        return super()._answer(1 - bright)


class Broken(BrightnessBundle):
    path = Path("broken")

    def answers_of(self, decoded: list[object]) -> list[np.ndarray]:  # type: ignore[override]
        raise RuntimeError("odd")


def served(bundle: BrightnessBundle, version: str) -> Served:
    return Served(bundle, version)  # type: ignore[arg-type]


@pytest.fixture
def champion() -> Served:
    bundle = BrightnessBundle()
    bundle.path = Path("champion")  # type: ignore[attr-defined]
    return served(bundle, "1")


@pytest.fixture
def predictor(champion: Served, settings: ServeSettings) -> Predictor:
    made = Predictor(champion, settings)
    made.ready = True
    return made


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def client(predictor: Predictor, settings: ServeSettings, meters: Meters) -> TestClient:
    return TestClient(build_app(predictor, settings, meters=meters))


def ask(client: TestClient, request_id: str) -> dict[str, object]:
    answer = client.post("/classify", files={"img": picture_bytes()}, headers={"X-Request-ID": request_id})
    assert answer.status_code == 200
    return dict(answer.json())


def version(client: TestClient, request_id: str) -> object:
    return ask(client, request_id)["model"]["version"]  # type: ignore[index]


IDS = [f"request-{number}" for number in range(400)]


def test_places_are_spread_and_stay() -> None:
    places = [place_of(name) for name in IDS]
    assert all(0 <= place < 1 for place in places)
    assert 0.4 < float(np.mean(places)) < 0.6
    assert places[:2] == [place_of(name) for name in IDS[:2]]
    assert place_of("request-0") == pytest.approx(0.75428, abs=1e-5)  # in every process and version


def test_a_share_goes_to_the_canary_and_a_greater_weight_takes_none_back(champion: Served) -> None:
    canary = Arm("canary", served(Contrary(), "2"))
    chosen = {}
    for weight in (0.0, 0.1, 0.3, 1.0):
        traffic = Traffic(Arm("champion", champion), canary, weight)
        chosen[weight] = {name for name in IDS if traffic.arm_for(name)[0] is canary}
    assert len(chosen[0.0]) == 0 and len(chosen[1.0]) == len(IDS)
    assert 20 < len(chosen[0.1]) < 60
    assert chosen[0.1] < chosen[0.3]


def test_answers_name_the_arms_version_and_are_all_its_own(client: TestClient, predictor: Predictor) -> None:
    predictor.traffic = Traffic(predictor.champion, Arm("canary", served(Contrary(), "2")), 0.5)
    for name in IDS[:40]:
        answer = ask(client, name)
        first = answer["predictions"][0]["label"]  # type: ignore[index]
        assert (answer["model"]["version"], first) in {("1", "bright"), ("2", "dark")}  # type: ignore[index]
        assert version(client, name) == answer["model"]["version"]  # type: ignore[index]
    told = client.get("/model").json()
    assert (told["version"], told["canary"], told["canary_weight"]) == (
        "1",
        {"name": "brightness", "version": "2"},
        0.5,
    )
    text = client.get("/metrics").text
    assert 'imgcls_answers_total{arm="canary",decision="sure",label="dark"}' in text
    assert 'imgcls_predict_seconds_count{arm="canary"}' in text


def test_who_names_a_version_gets_it(client: TestClient, predictor: Predictor) -> None:
    predictor.traffic = Traffic(predictor.champion, Arm("canary", served(Contrary(), "2")), 1.0)
    body = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [_base64(picture_bytes())]}]}
    named = client.post("/v2/models/brightness/versions/1/infer", json=body)
    assert (named.status_code, named.json()["model_version"]) == (200, "1")
    assert client.post("/v2/models/brightness/infer", json=body).json()["model_version"] == "2"


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


@pytest.mark.parametrize("inside", ["nothing", "the champion", "other classes"])
def test_without_a_canary_that_fits_the_champion_answers_all(
    client: TestClient, predictor: Predictor, champion: Served, inside: str
) -> None:
    other = Contrary()
    other.labels = Labels(("light", "gloomy"))
    found = {"nothing": None, "the champion": champion, "other classes": served(other, "2")}[inside]
    predictor.traffic = Traffic(predictor.champion, Arm("canary", found), 1.0)
    assert version(client, "a") == "1"


def test_a_canary_that_fails_costs_no_answer(client: TestClient, predictor: Predictor) -> None:
    predictor.traffic = Traffic(predictor.champion, Arm("canary", served(Broken(), "2")), 1.0)
    assert version(client, "a") == "1"
    assert "imgcls_canary_failures_total 1.0" in client.get("/metrics").text


def figures(meters: Meters) -> dict[str, float]:
    lines = [line for line in meters.page().decode().splitlines() if line.startswith("imgcls_shadow_pictures_total")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_a_shadow_is_compared_and_not_heard(client: TestClient, predictor: Predictor, meters: Meters) -> None:
    arm = Arm("shadow")
    predictor.shadow = Shadow(arm, 1.0, predictor, meters)
    ask(client, "before it is loaded")
    for bundle in (Contrary(), BrightnessBundle(), Broken()):
        arm.served = served(bundle, "2")
        answer = ask(client, "a")
        assert answer["predictions"][0]["label"] == "bright"  # type: ignore[index]
        predictor.shadow.join()
    assert figures(meters) == {"differs": 1, "agrees": 1, "failed": 1}
    assert b"imgcls_shadow_difference_count 2.0" in meters.page()


def test_a_slow_shadow_is_dropped_not_waited_for(client: TestClient, predictor: Predictor, meters: Meters) -> None:
    going_on = threading.Event()

    class Slow(BrightnessBundle):
        def answers_of(self, decoded: list[np.ndarray]) -> list[np.ndarray]:  # type: ignore[override]
            going_on.wait(60)
            return super().answers_of(decoded)  # type: ignore[arg-type,return-value]

    predictor.shadow = Shadow(Arm("shadow", served(Slow(), "2")), 1.0, predictor, meters)
    for name in IDS[:30]:
        ask(client, name)
    assert figures(meters)["dropped"] >= 30 - 17
    going_on.set()
    predictor.shadow.join()


def test_canary_and_shadow_are_loaded_beside(
    predictor: Predictor, meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    monkeypatch.setattr(loading, "locate", lambda model, *_: Located(Path(model), "2"))
    monkeypatch.setattr(loading, "load", lambda found, _settings: served(_at(found.path), found.version))
    before = meters.serves
    monkeypatch.setattr(meters, "serves", lambda *told: (before(*told), loaded.set()))
    loading.follow(predictor, ServeSettings(model="/b", canary="/c", canary_weight=1.0), meters)
    assert loaded.wait(30)
    assert predictor.traffic.arm_for("a")[1].path == Path("/c")


def _at(path: Path) -> BrightnessBundle:
    bundle = BrightnessBundle()
    bundle.path = path  # type: ignore[attr-defined]
    return bundle


def test_a_canary_with_other_classes_is_refused(
    predictor: Predictor, meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Contrary()
    other.labels = Labels(("light", "gloomy"))
    monkeypatch.setattr(loading, "load", lambda *_: served(other, "2"))
    arm = Arm("canary")
    follower = loading._follower(arm, ServeSettings(model="/b"), meters, "/c", predictor)
    with pytest.raises(ModelError, match="knows the champion's classes"):
        follower._load(Located(Path("/c"), "2"))
