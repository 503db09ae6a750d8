"""Promotion, going back and the list of versions, as a shell sees them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgcls_ray.pipeline.promotion import promote_first
from imgcls_ray.tracking.registry import Registered
from imgcls_ray.tracking.versions import Versions
from tests.arena import Arena, fitted_model
from tests.cli.conftest import Said
from tests.tracking.conftest import empty, fresh

__all__ = ["empty"]

Call = Callable[..., Said]


@pytest.fixture(scope="module")
def storage(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A good champion and a bad candidate."""
    arena = Arena(fresh(empty, tmp_path_factory.mktemp("models") / "runs"))
    arena.enter(fitted_model())
    promote_first(Versions(arena.root), Registered("flowers", 1, "candidate"))
    arena.enter(fitted_model(wrong=3.0))
    yield arena.root


def test_a_refusal_is_a_table_reasons_and_exit_code_1(imgcls: Call, storage: Path) -> None:
    said = imgcls("promote", "--storage", storage, "--max-slowdown", 1000)
    assert said.code == 1
    rows = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    assert [rows[gate].split()[0] for gate in ("parity", "metric", "calibration", "latency")]
    assert "failed" in said.out
    assert "worse by more than chance explains" in said.out
    assert "models:/flowers/2 is not promoted, version 1 stays the champion: it fails" in said.out
    said = imgcls("promote", "flowers/2", "--storage", storage, "--max-slowdown", 1000, "--json")
    document = json.loads(said.out)
    assert said.code == 1
    assert (document["promoted"], document["passed"], document["champion_before"]) == (False, False, 1)
    assert {gate["gate"]: gate["verdict"] for gate in document["gates"]}["metric"] == "failed"


def test_to_override_the_gates_takes_a_reason(imgcls: Call, storage: Path) -> None:
    assert "add --reason" in imgcls("promote", "--force", "--storage", storage).sentence
    said = imgcls("promote", "--force", "--reason", "only to see", "--storage", storage, "--json")
    assert said.code == 0
    assert json.loads(said.out)["forced"]
    said = imgcls("rollback", "--reason", "seen", "--storage", storage)
    assert (said.code, said.out) == (0, "Version 1 of 'flowers' is the champion again, 2 the previous one.\n")


def test_a_full_disk_keeps_nobody_from_going_back(imgcls: Call, storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcls_ray.storage.LEAST_FREE", 10**18)
    for champion in (2, 1):
        said = imgcls("rollback", "--storage", f"file://{storage}")
        assert said.out.startswith(f"Version {champion} of 'flowers' is the champion again")
    assert imgcls("models", "--storage", storage).code == 0


def test_versions_and_their_log_are_listed(imgcls: Call, storage: Path) -> None:
    said = imgcls("models", "--storage", storage)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0].split()[:3] == ["model", "version", "alias"]
    versions = json.loads(imgcls("models", "flowers", "--storage", storage, "--json").out)
    assert [(row["version"], row["aliases"]) for row in versions] == [(2, ["previous"]), (1, ["champion"])]
    log = json.loads(imgcls("models", "--log", "--storage", storage, "--json").out)
    assert [line["action"] for line in log] == ["promote", "refuse", "refuse", "promote", *["rollback"] * 3]
    assert (
        "promote (against the gates)  flowers  2: candidate -> champion"
        in imgcls("models", "--log", "--storage", storage).out
    )
    assert "did you mean 'flowers'" in imgcls("models", "flower", "--storage", storage).sentence


@pytest.mark.parametrize("words", [("models",), ("promote",), ("rollback",)])
def test_where_nothing_is_recorded_that_is_told_and_nothing_made(
    imgcls: Call, tmp_path: Path, words: tuple[str]
) -> None:
    assert "Nothing is recorded" in imgcls(*words, "--storage", tmp_path / "none").sentence
    assert not (tmp_path / "none").exists()


def test_wrong_limits_and_names_are_told(imgcls: Call, storage: Path) -> None:
    assert "--metric can't be used" in imgcls("promote", "--metric", "speed", "--storage", storage).sentence
    assert "--max-drop can't be used" in imgcls("promote", "--max-drop", "2", "--storage", storage).sentence
    assert "A version is written" in imgcls("promote", "a/b/c", "--storage", storage).sentence
    assert "begin with 'imgcls run'" in imgcls("update", storage, "--storage", storage).sentence
