"""New pictures arrive: only they are decoded, the search goes on, the gates decide; a cut-off update is taken up."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from imgcls_ray import api
from imgcls_ray.config import RunSettings, TrackingSettings, UpdateSettings, load_settings
from imgcls_ray.config.saving import write_settings
from imgcls_ray.errors import DataError, StorageError
from imgcls_ray.pipeline import promotion, update
from imgcls_ray.pipeline.begun import UPDATE, Begun, Pictures
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.pipeline.plan import SETTINGS
from imgcls_ray.pipeline.promotion import Promotion, PromotionSettings, promote
from imgcls_ray.pipeline.update import UpdateResult
from imgcls_ray.search.journal import JOURNAL
from imgcls_ray.search.record import FINGERPRINT, RESULT, StudyRecord
from imgcls_ray.storage import Storage
from imgcls_ray.tracking import ledger
from imgcls_ray.tracking.gates import Contest, Judgement
from imgcls_ray.tracking.versions import Versions
from tests.conftest import picture, write_tree


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def home(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `flowers` and a storage `runs` with a study on it."""
    home = tmp_path_factory.mktemp("update")
    write_tree(home / "flowers", each=14)
    chosen = {"backbones": ["cnn"], "image_size": 16, "trials": 1, "epochs": 2, "concurrency": 1}
    flags = {"data": str(home / "flowers"), "storage": str(home / "runs"), "search": chosen}
    api.run(api.load_settings(api.RunSettings, flags=flags))
    yield home
    shutil.rmtree(home)


def settings(home: Path, **more: Any) -> UpdateSettings:
    return UpdateSettings(data=str(home / "flowers"), storage=str(home / "runs"), trials=1, **more)


@pytest.fixture(autouse=True)
def open_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the gates say is the subject of test_promotion.py: here they let a model of two epochs pass."""

    def judged(contest: Contest) -> tuple[Judgement, ...]:
        return (Judgement("metric", "passed", f"Equal on {contest.split}.", 0.9, 0.9),)

    monkeypatch.setattr(promotion, "judged", judged)


def add_pictures(home: Path, numbers: range) -> None:
    for label in range(3):
        for number in numbers:
            Image.fromarray(picture(label, number)).save(home / "flowers" / f"class{label}" / f"{number}.png")


class Steps(RunListener):
    def __init__(self) -> None:
        self.steps: list[str] = []

    def step_started(self, name: str, what: str) -> None:
        self.steps.append(name)


def test_nothing_new_is_told_and_nothing_done(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "cluster", None)  # it is not even asked for
    before = sorted((home / "runs" / "studies").iterdir())
    found = update.update(settings(home))
    assert "Nothing is new" in found.sentence
    assert "42 pictures" in found.sentence
    assert (found.study, found.pictures.new, found.to_json()["run"]) == (None, 0, None)
    assert [path for path in (home / "runs" / "studies").iterdir() if path.name[0] != "."] == before


def test_files_that_were_only_touched_are_nothing_new(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(home / "flowers" / "class0" / "0.png", (1, 1))
    file = next((home / "runs" / "studies").glob(f"*/{SETTINGS}"))
    before, joined = file.read_text(), []
    write_settings(file, load_settings(RunSettings, file).model_copy(update={"address": "head:6379"}))
    monkeypatch.setattr(update, "cluster", lambda address: nullcontext(joined.append(address)))
    found = update.update(settings(home))
    file.write_text(before)
    assert joined == ["head:6379"], "the cluster of the study that it goes on from"
    assert found.study is None
    assert not list((home / "runs").glob(f"studies/*/{UPDATE}"))


def test_an_update_that_is_cut_off_twice_is_taken_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_pictures(home, range(100, 104))

    def killed(*_given: Any, **_named: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(update, "run", killed)
        with pytest.raises(Killed):
            update.update(settings(home))
    steps = Steps()
    with monkeypatch.context() as patch:
        patch.setattr(update, "promote", killed)
        with pytest.raises(Killed):
            update.update(settings(home), steps)
    assert "search" in steps.steps
    steps = Steps()
    found = update.update(settings(home), steps)
    assert steps.steps == ["promote"]
    assert (found.pictures.new, found.pictures.gone, found.pictures.used) == (12, 0, 54)
    assert "12 new pictures, 54 in all: models:/flowers/2 is the champion now" in found.sentence
    assert "test pictures of 'flowers'" in found.sentence
    assert Versions(home / "runs").aliases("flowers") == {"champion": 2, "previous": 1}
    assert len(list((home / "runs").glob(f"studies/*/{UPDATE}"))) == 1
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["promotion"]["promoted"]
    assert document["run"]["images"]["used"] == 54
    assert "Nothing is new" in update.update(settings(home)).sentence


def test_one_that_is_taken_up_has_the_user_of_its_tracking_address(tmp_path: Path) -> None:
    """Its settings were written without; where no address is given, it goes on where it began."""
    begun = Begun(tmp_path, "/flowers", "first")
    (tmp_path / JOURNAL).touch()
    began = RunSettings(data="/flowers", tracking=TrackingSettings(uri="http://ann:secret@host", model_name="roses"))
    write_settings(tmp_path / SETTINGS, began)
    asked = RunSettings(data="/flowers", storage="/runs")
    again = update._taken_up(begun, asked, "http://ann:secret@host")
    assert (again.resume, again.storage, again.tracking) == (True, "/runs", began.tracking)
    assert update._taken_up(begun, asked, None).tracking.uri == "http://host"


def test_a_model_that_can_not_be_judged_keeps_no_pictures_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an update that was cut off before its gates; a test picture of it is gone since."""
    folder = home / "runs" / "studies" / "cut-off"
    folder.mkdir()
    (folder / RESULT).touch()
    cut_off = Begun(folder, str(home / "flowers"), "first")
    cut_off.write(done=False)

    def can_not(*_given: Any, **_named: Any) -> None:
        raise DataError("it is gone.")

    monkeypatch.setattr(update, "newest_finished", lambda *_: "flowers")
    monkeypatch.setattr(update, "result_of", lambda *_: {"images": {"used": 1}})
    monkeypatch.setattr(update, "_judge", can_not)
    monkeypatch.setattr(update, "_searched", lambda *_: None)
    with pytest.raises(DataError, match="it is gone"):  # nothing is new
        update.update(settings(home))
    newer = UpdateResult("first", Pictures(1, 0, 2), interrupted=True)
    monkeypatch.setattr(update, "_searched", lambda *_: newer)
    assert update.update(settings(home)) is newer
    assert not json.loads((folder / UPDATE).read_text())["done"]
    monkeypatch.setattr(update, "_searched", lambda *_: replace(newer, interrupted=False))
    assert update.update(settings(home)).pictures.new == 1
    assert json.loads((folder / UPDATE).read_text())["done"]
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("then", "now", "actions", "why"),
    [
        ({"champion": 1}, 1, (), None),
        ({"champion": 1}, 3, (), "since it was registered version 3 became the champion; `imgcls promote flowers/2`"),
        ({"champion": 1}, None, (), "since it was registered the champion was taken away"),
        ({"champion": 1}, 1, ("promote", "rollback"), "not judged again: it was promoted before"),
        ({"champion": 1}, 1, ("refuse",), "not judged again: it was refused before"),
        ({}, 1, (), None),
        ({}, 3, (), "version 3 became the champion"),
    ],
    ids=["nothing", "another", "none", "undone", "refused", "nothing, an old result", "another, an old result"],
)
def test_one_that_was_cut_off_undoes_nothing_that_was_decided_since(
    then: dict[str, int],
    now: int | None,
    actions: tuple[ledger.Action, ...],
    why: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Version 2 was registered when 1 was the champion; the update was killed before it was judged, or after."""
    begun = Begun(tmp_path / "studies" / "cut-off", "/flowers", "first")
    begun.folder.mkdir(parents=True)
    model = {"name": "flowers", "version": 2, **then}
    (begun.folder / RESULT).write_text(json.dumps({"model": model, "data": "/set"}))
    for action in actions:
        ledger.note(tmp_path, ledger.Entry("flowers", action, 2 if action != "rollback" else 1, now, None))
    judged: list[str] = []

    def promoted(_storage: Storage, ref: str, *_given: object, **_named: object) -> Promotion:
        judged.append(ref)
        return Promotion("flowers", 2, now, (Judgement("metric", "passed", "Equal.", 0.9, 0.9),), None)

    aliases = {} if now is None else {"champion": now}
    monkeypatch.setattr(update, "Versions", lambda *_: SimpleNamespace(aliases=lambda _: aliases))
    monkeypatch.setattr(update, "promote", promoted)
    monkeypatch.setattr(Begun, "pictures", lambda *_: Pictures(1, 0, 5))
    asked = UpdateSettings(data="/flowers", tracking_uri="http://host")
    found = update._judge(Storage(tmp_path), asked, begun, RunListener(), taken_up=True)
    assert judged == ([] if why else ["flowers/2"])
    assert (why or "passes all gates") in found.sentence
    assert found.to_json()["unjudged"] == found.unjudged
    assert json.loads((begun.folder / UPDATE).read_text())["done"]
    update._judge(Storage(tmp_path), asked, begun, RunListener())  # what this very update has searched is judged
    assert judged[-1:] == ["flowers/2"]


def test_it_may_leave_the_model_a_candidate(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are gone; before that, one was cut off that had begun with others than there are by now."""
    for label in range(3):
        (home / "flowers" / f"class{label}" / "100.png").unlink()

    def begun_with_others(asked: api.RunSettings, _listener: object) -> None:
        folder = home / "runs" / "studies" / str(asked.study)
        StudyRecord(folder.name, asked.data, 1, {FINGERPRINT: "of other pictures"}).write(folder)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(update, "run", begun_with_others)
        with pytest.raises(Killed):
            update.update(settings(home))
    found = update.update(settings(home, promote=False))
    files = (home / "runs" / "studies").glob(f"*/{UPDATE}")
    assert [json.loads(file.read_text())["done"] for file in files] == [True] * 3  # one of them was given up
    assert (found.pictures.new, found.pictures.gone) == (0, 3)
    assert found.promotion
    assert (found.promotion.promoted, found.promotion.passed) == (False, True)
    assert Versions(home / "runs").aliases("flowers") == {"champion": 2, "previous": 1, "candidate": 3}
    assert promote(Storage(home / "runs"), None, PromotionSettings()).promoted


def test_there_must_be_a_study_to_go_on_from(home: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="begin with 'imgcls run'"):
        update.update(UpdateSettings(data=str(tmp_path), storage=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()
    with pytest.raises(StorageError, match="has no result"):
        update.update(settings(home, continue_from="none-such"))
    with pytest.raises(DataError, match="name the pictures"):
        (prepared,) = (home / "runs" / "data").iterdir()
        update.update(UpdateSettings(data=str(prepared), storage=str(home / "runs")))


def test_one_update_at_a_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(*_given: Any) -> None:
        update.update(settings(home))

    monkeypatch.setattr(update, "_searched", second)
    with pytest.raises(StorageError, match=r"Another update of .* runs"):
        update.update(settings(home))
