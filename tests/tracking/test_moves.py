"""Aliases move as a whole: whatever cuts a move off, the next command finishes it, and of two movers one wins."""

import itertools
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.bundle.files import write_golden
from imgcls_ray.errors import ModelError, SettingsError
from imgcls_ray.tracking import ledger
from imgcls_ray.tracking.moves import PENDING, aliases_of
from imgcls_ray.tracking.registry import register
from imgcls_ray.tracking.tracker import Tracker
from imgcls_ray.tracking.versions import Versions

from .conftest import INFO, fresh

GATE = {"gate": "metric", "verdict": "passed", "figure": 0.9, "limit": 0.8, "unit": "", "sentence": "fine", "more": {}}


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def filled(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage root with four versions of one model, the first the champion. Read only."""
    root = fresh(empty, tmp_path_factory.mktemp("filled") / "runs")
    bundle = root / "bundle"
    bundle.mkdir()
    (bundle / "model.keras").write_bytes(b"model")
    write_golden(bundle / "golden.npz", np.zeros((1, 4, 4, 3), np.uint8), np.ones((1, 2), np.float32) / 2)
    from imgcls_ray.config import TrackingSettings

    with Tracker(root, TrackingSettings()) as tracker:
        tracker.listener().study_started(INFO)
        for number in range(4):
            (bundle / "checksums.json").write_text(f'{{"of": {number}}}')
            register(tracker, bundle, "pets", tracker.run_id)
    Versions(root).promote("pets", 1, None, [GATE])
    return root


@pytest.fixture
def versions(filled: Path, tmp_path: Path) -> Versions:
    return Versions(Path(shutil.copytree(filled, tmp_path / "runs")))


def test_a_promotion_moves_three_aliases_and_is_logged(versions: Versions) -> None:
    entry = versions.promote("pets", 4, 1, [GATE], "better")
    assert versions.aliases("pets") == {"champion": 4, "previous": 1}
    assert [str(shift) for shift in entry.moved] == ["4: candidate -> champion", "1: champion -> previous"]
    first, last = ledger.read(versions.storage, "pets")
    assert last == entry
    assert (first.version, first.previous, last.reason, last.gates[0]["figure"]) == (1, None, "better", 0.9)
    assert "@" in last.who
    rows = {row.version: row for row in versions.listed("pets")}
    assert "candidate -> champion by" in rows[4].moved
    assert "better" in rows[4].moved
    assert '"figure": 0.9' in rows[4].tags["imgcls.gates"]


def test_another_candidate_stays_one(versions: Versions) -> None:
    versions.promote("pets", 2, 1, [])
    assert versions.aliases("pets") == {"champion": 2, "previous": 1, "candidate": 4}


def test_a_rollback_is_undone_by_another(versions: Versions) -> None:
    versions.promote("pets", 4, 1, [])
    back = versions.rollback("pets", "it was slow")
    assert (back.champion, back.previous, back.reason) == (1, 4, "it was slow")
    assert versions.aliases("pets") == {"champion": 1, "previous": 4}
    versions.rollback("pets")
    assert versions.aliases("pets") == {"champion": 4, "previous": 1}
    assert [entry.action for entry in ledger.read(versions.storage)] == ["promote", "promote", "rollback", "rollback"]


def test_a_reason_that_is_no_utf8_is_kept_as_it_can_be(versions: Versions) -> None:
    """As a terminal of another encoding hands it over: half a character."""
    reason = "zur\udcfcck \N{PARTY POPPER}" + "\N{PARTY POPPER}" * 400
    versions.promote("pets", 4, 1, [GATE], reason)
    assert ledger.read(versions.storage, "pets")[-1].reason == reason
    assert "zur\\udcfcck" in {row.version: row for row in versions.listed("pets")}[4].moved
    assert versions.rollback("pets", reason).champion == 1


def test_without_a_previous_there_is_nothing_to_go_back_to(versions: Versions) -> None:
    with pytest.raises(ModelError, match="no 'previous'"):
        versions.rollback("pets")
    with pytest.raises(ModelError, match="did you mean 'pets'"):
        versions.rollback("pet")


STEPS = (
    "set_registered_model_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "set_model_version_tag",
    "delete_registered_model_tag",
)


def test_a_kill_at_any_step_loses_nothing(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine calls write: the tag, two aliases, the candidate's, three versions' tags, the gates', the tag away."""
    client: Any = versions._client
    versions.promote("pets", 2, 1, [GATE])
    for calls, after in itertools.product(range(1, 10), (False, True)):
        before = versions.aliases("pets")
        old, number = before["champion"], before["candidate"]
        with monkeypatch.context() as patch:
            patch_dying(patch, client, calls, after)
            with pytest.raises(Killed):
                versions.promote("pets", number, old, [GATE], f"{calls} {after}")
        assert aliases_of(client, "pets")["champion"] in (old, number)  # what is served is never gone
        begun = calls > 1 or after
        assert versions.aliases("pets") == ({"champion": number, "previous": old} if begun else before)
        assert PENDING not in client.get_registered_model("pets").tags
        logged = [entry for entry in ledger.read(versions.storage) if entry.reason == f"{calls} {after}"]
        assert len(logged) == begun
        now = versions.aliases("pets")
        following = min({1, 2, 3, 4} - {now["champion"], now["previous"]})
        client.set_registered_model_alias("pets", "candidate", str(following))


def patch_dying(patch: pytest.MonkeyPatch, client: Any, calls: int, after: bool) -> None:
    """Let the process end at so many calls that write: before the last of them, or after it."""
    left = [calls]

    def dying(real: Any) -> Any:
        def call(*given: Any, **named: Any) -> None:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Killed
            real(*given, **named)
            if left[0] == 0:
                raise Killed

        return call

    for step in STEPS:
        patch.setattr(client, step, dying(getattr(client, step)))


def test_a_version_that_was_deleted_while_it_was_judged_is_not_moved(versions: Versions) -> None:
    client: Any = versions._client
    versions.promote("pets", 2, 1, [GATE])
    client.delete_model_version("pets", "4")
    with pytest.raises(ModelError, match=r"Version 4 of 'pets' was deleted .*: `imgcls models pets`"):
        versions.promote("pets", 4, 2, [GATE])
    assert versions.aliases("pets") == {"champion": 2, "previous": 1}
    assert versions.refuse("pets", 4, [GATE], "slow").version == 4
    assert versions.rollback("pets").champion == 1


def test_a_cut_off_move_whose_version_is_deleted_is_undone(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it was cut off: eight calls write, as in the test above, and there is no candidate's alias to take."""
    client: Any = versions._client
    versions.promote("pets", 2, 1, [GATE])
    before = versions.aliases("pets")
    source = client.get_model_version("pets", "1").source
    for calls in range(2, 9):
        number = int(client.create_model_version("pets", source).version)
        with monkeypatch.context() as patch:
            patch_dying(patch, client, calls, after=False)
            with pytest.raises(Killed):
                versions.promote("pets", number, 2, [GATE])
        client.delete_model_version("pets", str(number))
        assert versions.aliases("pets") == before, calls
        assert PENDING not in client.get_registered_model("pets").tags


def test_a_cut_off_move_whose_old_champion_is_deleted_is_finished(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = versions._client
    versions.promote("pets", 2, 1, [GATE])
    with monkeypatch.context() as patch:
        patch_dying(patch, client, 1, after=True)
        with pytest.raises(Killed):
            versions.promote("pets", 4, 2, [GATE])
    client.delete_model_version("pets", "2")
    assert versions.aliases("pets") == {"champion": 4, "previous": 1}
    assert versions.rollback("pets").champion == 1


def test_of_two_promotions_at_once_one_wins(versions: Versions) -> None:
    rivals = {2: Versions(versions.storage), 3: Versions(versions.storage)}
    refused: dict[int, str] = {}
    ready = threading.Barrier(2)

    def promote(number: int) -> None:
        ready.wait()
        try:
            rivals[number].promote("pets", number, 1, [GATE])
        except ModelError as error:
            refused[number] = str(error)

    threads = [threading.Thread(target=promote, args=(number,)) for number in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (loser,) = refused
    winner = 5 - loser
    assert versions.aliases("pets") == {"champion": winner, "previous": 1, "candidate": 4}
    assert f"became version {winner}" in refused[loser]
    assert [entry.version for entry in ledger.read(versions.storage)] == [1, winner]


def test_a_move_of_another_storage_at_the_same_moment_is_told(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = versions._client
    real = client.set_registered_model_tag

    def overtaken(name: str, key: str, value: str) -> None:
        real(name, key, value)
        real(name, key, value.replace('"id": "', '"id": "other-'))

    monkeypatch.setattr(client, "set_registered_model_tag", overtaken)
    with pytest.raises(ModelError, match="at this moment: try again"):
        versions.promote("pets", 4, 1, [GATE])


def test_what_is_the_champion_is_not_promoted_again(versions: Versions) -> None:
    with pytest.raises(ModelError, match="the champion already"):
        versions.promote("pets", 1, 1, [])
    with pytest.raises(SettingsError, match="up to 500 characters"):
        versions.promote("pets", 4, 1, [], "x" * 501)


@pytest.mark.parametrize(
    ("ref", "number"),
    [(None, 4), ("candidate", 4), ("pets", 4), ("pets/2", 2), ("models:/pets/3", 3), ("models:/pets@champion", 1)],
)
def test_a_version_is_named_in_many_ways(versions: Versions, ref: str | None, number: int) -> None:
    assert versions.named(ref) == ("pets", number)


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("pet", "did you mean 'pets'"),
        ("pets/9", "its versions are"),
        ("a/b/c", "A version is written"),
        ("", "written"),
    ],
)
def test_what_is_not_there_is_told(versions: Versions, ref: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        versions.named(ref)


def test_without_a_candidate_it_says_where_one_comes_from(versions: Versions) -> None:
    versions.promote("pets", 4, 1, [])
    with pytest.raises(ModelError, match="imgcls update"):
        versions.named(None)
    with pytest.raises(ModelError, match="by its number, as in pets/1"):
        versions.named("pets")


def test_a_line_that_was_cut_off_stays_and_the_next_begins_below(tmp_path: Path) -> None:
    whole = ledger.Entry("pets", "promote", 1, 1, None)
    ledger.note(tmp_path, whole)
    ledger.note(tmp_path, whole)
    with (tmp_path / ledger.LEDGER).open("ab") as file:
        file.write(b'{"model": "pe')
    second = ledger.Entry("pets", "rollback", 2, 2, 1)
    ledger.note(tmp_path, second)
    assert ledger.read(tmp_path) == [whole, second]
    assert ledger.read(tmp_path, "cars") == []
