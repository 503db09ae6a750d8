"""A better model is promoted; a worse, a wrong and a slower one are refused, each with its reason."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.bundle.files import GOLDEN, read_golden, write_checksums, write_golden
from imgcls_ray.config import GateSettings
from imgcls_ray.data.index import digest
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.errors import DataError, ModelError, SettingsError
from imgcls_ray.pipeline.promotion import Promotion, PromotionSettings, promote, promote_first
from imgcls_ray.storage import Storage
from imgcls_ray.tracking import ledger
from imgcls_ray.tracking.registry import Registered
from imgcls_ray.tracking.versions import Versions
from tests.arena import Arena, fitted_model
from tests.tracking.conftest import empty, fresh

__all__ = ["empty"]


@pytest.fixture(scope="module")
def begun(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arena whose champion is good. Read only."""
    home = tmp_path_factory.mktemp("arena")
    arena = Arena(fresh(empty, home / "runs"))
    arena.enter(fitted_model())
    first = promote_first(Versions(arena.root), Registered("flowers", 1, "candidate"))
    assert first
    assert first.promoted
    return home


@pytest.fixture
def arena(begun: Path, tmp_path: Path) -> Arena:
    """A copy of it: the same pictures, made again."""
    home = tmp_path / "home"
    shutil.copytree(begun / "runs", home / "runs", ignore=shutil.ignore_patterns("data", "studies"))
    return Arena(home / "runs")


def judged(arena: Arena, **limits: float) -> Promotion:
    # Time is the subject of one test only: here the machine does other things meanwhile.
    settings = PromotionSettings(GateSettings(**{"max_slowdown": 1000, **limits}))  # type: ignore[arg-type]
    return promote(Storage(arena.root), None, settings)


def verdicts(promotion: Promotion) -> dict[str, str]:
    return {one.gate: one.verdict for one in promotion.judgements}


def test_the_first_version_passes_what_needs_no_rival(begun: Path) -> None:
    (entry,) = ledger.read(begun / "runs")
    assert (entry.champion, entry.reason) == (1, "the first version of this model")
    assert {gate["gate"]: gate["verdict"] for gate in entry.gates} == {
        "parity": "passed",
        "metric": "no rival",
        "calibration": "no rival",
        "latency": "no rival",
    }
    assert promote_first(Versions(begun / "runs"), Registered("flowers", 1, "champion")) is None


def test_an_equal_model_is_promoted(arena: Arena) -> None:
    before = {path.name: digest(path) for path in arena.set.iterdir()}
    arena.enter(fitted_model())
    done = judged(arena)
    assert done.promoted
    assert {path.name: digest(path) for path in arena.set.iterdir()} == before
    assert set(verdicts(done).values()) == {"passed"}
    assert Versions(arena.root).aliases("flowers") == {"champion": 2, "previous": 1}
    figures = {one.gate: one.figure for one in done.judgements}
    assert figures["metric"] is not None
    assert figures["metric"] > 0.9
    assert "60 test pictures of 'flowers'" in done.judgements[1].sentence
    json.dumps(done.to_json(), allow_nan=False)


def test_a_worse_model_is_refused(arena: Arena) -> None:
    arena.enter(fitted_model(wrong=3.0))
    done = judged(arena)
    assert not done.promoted
    assert verdicts(done)["metric"] == "failed"
    assert "worse by more than chance explains" in done.judgements[1].sentence
    assert "fails metric" in done.sentence
    assert Versions(arena.root).aliases("flowers") == {"champion": 1, "candidate": 2}
    last = ledger.read(arena.root)[-1]
    assert (last.action, last.version, last.moved) == ("refuse", 2, ())
    assert "worse by more than chance" in last.reason


def test_a_wrong_model_is_refused(arena: Arena) -> None:
    arena.enter(fitted_model())
    place = Versions(arena.root).folder("flowers", 2)
    images, scores = read_golden(place / GOLDEN)
    write_golden(place / GOLDEN, images, np.roll(scores, 1, axis=1))
    write_checksums(place)
    done = judged(arena)
    assert verdicts(done) == {
        "parity": "failed",
        "metric": "not judged",
        "calibration": "not judged",
        "latency": "not judged",
    }
    assert "golden pictures differ" in done.judgements[0].sentence


def test_a_changed_byte_is_refused(arena: Arena) -> None:
    arena.enter(fitted_model())
    with (Versions(arena.root).folder("flowers", 2) / "model.keras").open("ab") as file:
        file.write(b"x")
    assert "changed or damaged" in judged(arena).judgements[0].sentence


def test_a_slower_model_is_refused(arena: Arena) -> None:
    arena.enter(fitted_model(slow=8))
    done = judged(arena, max_slowdown=1.5)
    assert verdicts(done) == {"parity": "passed", "metric": "passed", "calibration": "passed", "latency": "failed"}
    assert "max_slowdown" in done.judgements[3].sentence
    assert done.failures[0].unit == "ms"


def test_who_overrides_a_gate_says_why(arena: Arena) -> None:
    arena.enter(fitted_model(wrong=3.0))
    with pytest.raises(SettingsError, match="--reason"):
        promote(Storage(arena.root), None, PromotionSettings(force=True))
    done = promote(Storage(arena.root), "flowers/2", PromotionSettings(force=True, reason="a trial"))
    assert done.promoted
    assert "against the gates: metric" in done.sentence
    last = ledger.read(arena.root)[-1]
    assert (last.action, last.forced, last.reason) == ("promote", True, "a trial")


def test_judging_alone_moves_and_logs_nothing(arena: Arena) -> None:
    arena.enter(fitted_model())
    done = promote(Storage(arena.root), None, PromotionSettings(GateSettings(max_slowdown=1000)), move=False)
    assert (done.passed, done.promoted) == (True, False)
    assert Versions(arena.root).aliases("flowers")["champion"] == 1
    assert len(ledger.read(arena.root)) == 1


def test_a_model_of_another_size_answers_the_same_pictures_decoded_anew(arena: Arena) -> None:
    ops = PixelOps(24, 36, "color")
    arena.enter(fitted_model(ops), ops=ops, created="2027")
    done = judged(arena)
    assert done.promoted
    assert done.judgements[1].more["pictures"] == 60


def test_pictures_that_changed_since_are_told(arena: Arena) -> None:
    ops = PixelOps(24, 36, "color")
    arena.enter(fitted_model(ops), ops=ops)
    shutil.rmtree(arena.pictures / "rose")
    (arena.pictures / "rose").mkdir()
    (arena.pictures / "rose" / "new.png").write_bytes((arena.pictures / "daisy" / "0.png").read_bytes())
    with pytest.raises(DataError, match="put it back, or give that of a preprocessed set as --data SET"):
        judged(arena)


def test_both_are_answered_on_the_newer_split(arena: Arena) -> None:
    arena.other_fingerprint("b" * 64)
    arena.add_study("second", arena.set)
    arena.enter(fitted_model(), study="second", created="2027")
    done = judged(arena)
    assert done.promoted
    assert "'flowers' (bbbbbbbb)" in done.judgements[1].sentence


def test_pictures_that_one_of_them_was_trained_on_are_left_out(arena: Arena) -> None:
    test = arena.rows["test"]
    dealt = {"train": test[:30], "val": arena.rows["val"], "test": arena.rows["train"] + test[30:]}
    arena.add_study("second", arena.add_set(dealt, "c" * 64))  # type: ignore[arg-type]
    arena.enter(fitted_model(), study="second", created="2027")
    assert judged(arena).judgements[1].more["pictures"] == 30


def test_a_model_whose_set_is_gone_may_have_learned_some(arena: Arena) -> None:
    dealt = {"train": arena.rows["train"], "val": arena.rows["val"], "test": arena.rows["test"][:40]}
    arena.add_study("second", arena.add_set(dealt, "c" * 64))  # type: ignore[arg-type]
    arena.enter(fitted_model(), study="second", created="2027")
    shutil.rmtree(arena.set)
    (arena.root / "data" / "damaged").mkdir()
    (arena.root / "data" / "damaged" / "index.json").write_text("{")
    sentence = judged(arena).judgements[1].sentence
    assert "(cccccccc, some of which first may have learned: its set is gone)" in sentence


def test_where_all_were_trained_on_that_is_told(arena: Arena) -> None:
    dealt = {"train": arena.rows["test"], "val": arena.rows["val"], "test": arena.rows["train"]}
    arena.add_study("second", arena.add_set(dealt, "c" * 64))  # type: ignore[arg-type]
    arena.enter(fitted_model(), study="second", created="2027")
    with pytest.raises(DataError, match="were trained on by one of the models"):
        judged(arena)


def test_a_split_that_is_not_at_hand_is_told_with_the_way_out(arena: Arena) -> None:
    arena.enter(fitted_model(), study="gone", created="2027")
    kept = arena.root.parent / "set"
    arena.set.rename(kept)
    with pytest.raises(DataError, match=r"is not in the storage .*--data SET.*imgcls update"):
        judged(arena)
    limits = GateSettings(max_slowdown=1000)
    assert promote(Storage(arena.root), None, PromotionSettings(limits, kept), move=False).passed
    forced = promote(Storage(arena.root), None, PromotionSettings(limits, force=True, reason="no pictures left"))
    assert forced.promoted
    assert "is not in the storage" in forced.failures[0].sentence


def test_a_damaged_test_shard_is_told(arena: Arena) -> None:
    arena.enter(fitted_model())
    with (arena.set / "test-00000.h5").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="damaged or cut"):
        judged(arena)


def test_the_champion_is_not_promoted_again(arena: Arena) -> None:
    with pytest.raises(ModelError, match="the champion already"):
        promote(Storage(arena.root), "flowers/1")
