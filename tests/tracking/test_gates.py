"""Every gate keeps to the contract of its base; what each is about is in test_promotion.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.bundle.bundle import Bundle, write_bundle
from imgcls_ray.bundle.card import Card
from imgcls_ray.config import GateSettings
from imgcls_ray.tracking.gates import GATES, Contender, Contest, Gate, judged, passed
from imgcls_ray.tracking.gates.calibration import CalibrationGate
from imgcls_ray.tracking.gates.metric import MetricGate
from tests.arena import LABELS, OPS, fitted_model
from tests.conftest import picture

TRUTH = np.arange(60) % 3


def answers(wrong: int, sure: float = 0.9) -> np.ndarray:
    """Probabilities (60, 3): so many wrong ones, all with the same confidence."""
    given = np.where(np.arange(60) < wrong, (TRUTH + 1) % 3, TRUTH)
    found = np.full((60, 3), (1 - sure) / 2, np.float32)
    found[np.arange(60), given] = sure
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    golden = np.stack([picture(label, 900, (OPS.height, OPS.width)) for label in range(3)])
    card = Card(name="a", study="a", settings={}, metrics={}, data_name="a", data_fingerprint="a" * 64, counts={})
    return write_bundle(tmp_path_factory.mktemp("gates") / "a", fitted_model(), LABELS, OPS, card, golden)


def contest(bundle: Bundle | None, mine: np.ndarray, theirs: np.ndarray, **limits: Any) -> Contest:
    settings = GateSettings(**{"max_slowdown": 1000, **limits})
    rivals = [Contender(f"models:/a/{n}", bundle, answers=found) for n, found in ((2, mine), (1, theirs))]
    return Contest(rivals[0], rivals[1], TRUTH, "60 test pictures", settings)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_equals_pass_each_gate_and_it_says_so(gate: Gate, bundle: Bundle) -> None:
    found = gate(contest(bundle, answers(3), answers(3)))
    assert (found.gate, found.verdict) == (gate.name, "passed")
    assert found.sentence.endswith(".")
    assert found.figure is not None
    assert found.limit is not None
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["verdict"] == "passed"


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_model_that_can_not_be_loaded_passes_none(gate: Gate, bundle: Bundle) -> None:
    broken = Contender("models:/a/2", None, "It is broken.")
    for champion in (None, Contender("models:/a/1", bundle)):
        assert gate(Contest(broken, champion, TRUTH)).verdict == ("not judged" if gate.needs_rival else "failed")
    assert not passed(judged(Contest(broken, None, TRUTH)))


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_without_a_champion_only_what_compares_is_left_out(gate: Gate, bundle: Bundle) -> None:
    found = gate(Contest(Contender("models:/a/1", bundle), None, np.empty(0, int)))
    assert found.verdict == ("no rival" if gate.needs_rival else "passed")


@pytest.mark.parametrize("gate", [gate for gate in GATES if gate.needs_rival], ids=lambda gate: gate.name)
def test_a_champion_that_can_not_be_loaded_is_no_champion_to_beat_unseen(gate: Gate, bundle: Bundle) -> None:
    found = gate(Contest(Contender("models:/a/2", bundle), Contender("models:/a/1", None, "It is broken."), TRUTH))
    assert found.verdict == "failed"
    assert "It is broken." in found.sentence


@pytest.mark.parametrize(
    ("mine", "theirs", "limits", "verdict", "why"),
    [
        (3, 6, {}, "passed", "it is not worse"),
        (4, 3, {}, "passed", "chance explains it"),
        (6, 3, {}, "failed", "max_drop"),
        (6, 3, {"max_drop": 0.1}, "passed", "chance explains it"),
        (20, 3, {"max_drop": 1}, "failed", "more than chance"),
        (20, 3, {"max_drop": 1, "metric": "loss"}, "failed", "more than chance"),
        (3, 6, {"metric": "loss"}, "passed", "it is not worse"),
        (20, 3, {"metric": "f1_macro"}, "failed", "macro F1"),
    ],
)
def test_the_metric_may_not_be_worse_beyond_chance(
    mine: int, theirs: int, limits: dict[str, Any], verdict: str, why: str
) -> None:
    found = MetricGate().judge(contest(None, answers(mine), answers(theirs), **limits))
    assert found.verdict == verdict
    assert why in found.sentence
    assert found.figure is not None
    assert found.limit is not None
    worse = found.figure > found.limit if limits.get("metric") == "loss" else found.figure < found.limit
    assert worse == (verdict == "failed")


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"),
    [(0.95, 0.95, "passed"), (0.99, 0.7, "passed"), (0.4, 0.95, "failed"), (0.4, 0.4, "passed")],
)
def test_probabilities_are_good_or_no_worse_than_the_champions(mine: float, theirs: float, verdict: str) -> None:
    found = CalibrationGate().judge(contest(None, answers(3, mine), answers(3, theirs)))
    assert found.verdict == verdict
    assert found.figure == pytest.approx(abs(0.95 - mine), abs=1e-6)


def test_golden_pictures_that_other_answers_were_saved_for_are_found(bundle: Bundle, monkeypatch: Any) -> None:
    from imgcls_ray.tracking.gates import parity

    monkeypatch.setattr(parity, "_by_bytes", lambda bundle, images: bundle.predict(images)[:, ::-1])
    found = parity.ParityGate()(Contest(Contender("models:/a/1", bundle), None, TRUTH))
    assert found.verdict == "failed"
    assert "worst by bytes" in found.sentence


def test_an_engine_that_answers_otherwise_is_found(bundle: Bundle, monkeypatch: Any) -> None:
    pytest.importorskip("openvino")
    from imgcls_ray.inference import conversion
    from imgcls_ray.tracking.gates.parity import ParityGate

    monkeypatch.setattr(conversion, "PROBABILITY_TOLERANCE", -1.0)
    found = ParityGate()(Contest(Contender("models:/a/1", bundle), None, TRUTH))
    assert found.verdict == "failed"
    assert "OpenVINO must answer as TensorFlow does" in found.sentence


def test_a_network_that_only_tensorflow_runs_is_told_and_passes(
    bundle: Bundle, monkeypatch: Any, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    from imgcls_ray.errors import ModelError
    from imgcls_ray.inference import conversion
    from imgcls_ray.tracking.gates.parity import ParityGate

    def unread(*_given: Any) -> Any:
        raise ModelError("OpenVINO can't read the network.")

    monkeypatch.setattr(conversion, "_converted", unread)
    found = ParityGate()(Contest(Contender("models:/a/1", bundle), None, TRUTH))
    assert found.verdict == "passed"
    assert "on TensorFlow alone: OpenVINO can't read the network" in found.sentence
