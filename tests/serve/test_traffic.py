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
from serve.model.follower import Follower
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


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_who_names_a_version_gets_it(client: TestClient, predictor: Predictor, weight: float) -> None:
    predictor.traffic = Traffic(predictor.champion, Arm("canary", served(Contrary(), "2")), weight)
    body = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [_base64(picture_bytes())]}]}
    for number in ("1", "2"):
        named = client.post(f"/v2/models/brightness/versions/{number}/infer", json=body)
        assert (named.status_code, named.json()["model_version"]) == (200, number)
    assert client.post("/v2/models/brightness/versions/3/infer", json=body).status_code == 404
    chosen = client.post("/v2/models/brightness/infer", json=body).json()["model_version"]
    assert chosen == ("2" if weight else "1")


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
    predictor.shadow = Shadow(arm, 1.0, predictor.classify_now, meters)
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

    predictor.shadow = Shadow(Arm("shadow", served(Slow(), "2")), 1.0, predictor.classify_now, meters)
    for name in IDS[:30]:
        ask(client, name)
    assert figures(meters)["dropped"] >= 30 - 17
    going_on.set()
    predictor.shadow.join()


class Registry:
    """Where each name leads, and what was loaded."""

    def __init__(self, **versions: str) -> None:
        self.versions, self.loaded = versions, list[str]()

    def locate(self, model: str, *_: object) -> Located:
        if model.partition("@")[2] not in self.versions:
            raise ModelError(f"There is no {model}.")
        version = self.versions[model.partition("@")[2]]
        return Located(Path(version), version)

    def load(self, found: Located, _settings: ServeSettings) -> Served:
        self.loaded.append(str(found.version))
        return served(_at(found.path), str(found.version))

    def followers(self, monkeypatch: pytest.MonkeyPatch, settings: ServeSettings) -> tuple[Predictor, list[Follower]]:
        """A replica that has started, and what follows its arms."""
        monkeypatch.setattr(loading, "locate", self.locate)
        monkeypatch.setattr(loading, "load", self.load)
        started: list[Follower] = []
        monkeypatch.setattr(Follower, "start", lambda follower, _: started.append(follower))
        predictor, meters = loading.load_predictor(settings), Meters()
        loading.follow(predictor, settings, meters)
        return predictor, started


TRIED = ServeSettings(
    model="models:/m@champion", canary="models:/m@candidate", canary_weight=0.3, shadow="models:/m@candidate"
)


def arms(predictor: Predictor) -> list[str | None]:
    return [arm.served.version if arm.served else None for arm in predictor.arms]


def test_an_id_has_its_arm_from_the_first_request_after_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(champion="1", candidate="2")
    first, again = (registry.followers(monkeypatch, TRIED)[0] for _ in range(2))
    versions = [first.traffic.arm_for(name)[1].version for name in IDS]
    assert versions == [again.traffic.arm_for(name)[1].version for name in IDS]
    assert set(versions) == {"1", "2"}


def test_a_version_is_loaded_once_and_promoted_without_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(champion="1", candidate="2")
    predictor, followers = registry.followers(monkeypatch, TRIED)
    assert (arms(predictor), registry.loaded) == (["1", "2", "2"], ["1", "2"])
    registry.versions["champion"] = "2"
    for follower in followers:
        follower.look()
    assert (arms(predictor), registry.loaded) == (["2", "2", "2"], ["1", "2"])
    assert all(predictor.traffic.arm_for(name)[0].name == "champion" for name in IDS)
    registry.versions["champion"] = "1"
    for follower in followers:
        follower.look()
    assert (arms(predictor), registry.loaded) == (["1", "2", "2"], ["1", "2"])


def test_an_alias_that_is_taken_away_ends_its_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(champion="1", candidate="2")
    predictor, followers = registry.followers(monkeypatch, TRIED)
    kept = dict(registry.versions)
    registry.versions.clear()
    for _ in range(2):
        for follower in followers:
            follower.look()
    assert arms(predictor) == ["1", None, None]
    registry.versions |= kept
    for follower in followers:
        follower.look()
    assert (arms(predictor), registry.loaded) == (["1", "2", "2"], ["1", "2"])


def test_a_replica_starts_without_what_it_cannot_load(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arms(Registry(champion="1").followers(monkeypatch, TRIED)[0]) == ["1", None, None]


def _at(path: Path) -> BrightnessBundle:
    bundle = BrightnessBundle()
    bundle.path = path  # type: ignore[attr-defined]
    return bundle


def test_a_canary_with_other_classes_is_refused(
    predictor: Predictor, meters: Meters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = Contrary()
    other.labels = Labels(("light", "gloomy"))
    monkeypatch.setattr(loading, "locate", lambda *_: Located(Path("/c"), "2"))
    monkeypatch.setattr(loading, "load", lambda *_: served(other, "2"))
    loading.follow(predictor, ServeSettings(model="/b", canary="/c"), meters)
    assert arms(predictor) == ["1", None]
    assert "knows the champion's classes" in caplog.text
    assert b'imgcls_versions_refused_total{arm="canary",version="2"} 1.0' in meters.page()
