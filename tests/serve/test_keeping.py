"""Answered pictures that are kept for people to label."""

import csv
import hashlib
import logging
import stat
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from imgcls_ray.data.sources import list_source
from imgcls_ray.errors import StorageError
from serve.model.predictor import Predictor
from serve.record import keeping
from serve.record.keeping import COLUMNS, Keeper, Kept
from serve.run import run
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import picture_bytes
from tests.serve.test_watch import figures

DAY = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


def kept(picture: bytes, decision: str = "sure", request_id: str = "one") -> Kept:
    return Kept(picture, "dark", 0.75, decision, "pets", "3", request_id, DAY)


def keeper(folder: Path, **settings: object) -> tuple[Keeper, Counter[str]]:
    told: Counter[str] = Counter()
    made = ServeSettings.model_validate({"model": "m", "keep": str(folder), **settings})
    return Keeper(made, lambda outcome: told.update([outcome])), told


def rows(folder: Path) -> list[dict[str, str]]:
    return [
        row for file in sorted(folder.glob("*.csv")) for row in csv.DictReader(file.read_text("utf-8").splitlines())
    ]


def test_an_answer_leaves_its_picture_and_a_row_without_a_label(
    predictor: Predictor, settings: ServeSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    predictor.warm_up()
    app = build_app(predictor, settings.model_copy(update={"keep": str(folder)}))
    client = TestClient(app)
    picture = picture_bytes(51, kind="JPEG")
    client.post(
        "/classify",
        files=[("img", ("../../evil.png", picture)), ("img", b"broken")],
        headers={"X-Request-ID": "order-17"},
    )
    client.post("/classify", content=picture, headers={"Content-Type": "image/png"})
    while figures(client).get(("imgcls_kept_pictures_total", "known")) != 1:
        threading.Event().wait(0.01)
    name = f"pictures/{hashlib.sha256(picture).hexdigest()}.jpg"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())[:-1] == [name]
    assert (folder / name).read_bytes() == picture
    [row] = rows(folder)
    assert tuple(row) == COLUMNS
    assert (row["path"], row["label"], row["predicted"], row["decision"]) == (name, "", "dark", "sure")
    assert (row["model"], row["version"], row["request_id"]) == ("brightness", "3", "order-17")
    assert float(row["probability"]) == pytest.approx(0.8, abs=0.01)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "pictures")] == [0o700] * 2
    assert stat.S_IMODE(next(folder.glob("*.csv")).stat().st_mode) == 0o600


def test_the_table_is_a_source_of_the_rows_that_have_a_label(tmp_path: Path) -> None:
    made, _ = keeper(tmp_path)
    for number in range(6):
        made.offer(kept(picture_bytes(40 * number)))
    made.flush()
    table = tmp_path / "predictions-2026-11-29.csv"
    lines = table.read_text().splitlines()
    labels = ["cat", "cat", "dog", "dog", "", ""]
    labelled = [line.replace(",,", f",{label},", 1) for line, label in zip(lines[1:], labels, strict=True)]
    table.write_text("\n".join([lines[0], *labelled]))
    source = list_source(str(table))
    assert Counter(item.refused or item.label for item in source.items) == {"cat": 2, "dog": 2, "unlabelled": 2}
    assert all(source.reader.read(item.path) for item in source.items)


def test_two_replicas_write_whole_lines(tmp_path: Path) -> None:
    replicas = [keeper(tmp_path) for _ in range(2)]
    for number in range(60):
        for replica, (made, _) in enumerate(replicas):
            made.offer(kept(picture_bytes(number, (41 + replica, 30)), request_id=f"{replica}-{number}"))
            made.flush()
    found = rows(tmp_path)
    assert {row["request_id"] for row in found} == {f"{replica}-{number}" for replica in (0, 1) for number in range(60)}
    assert all((tmp_path / row["path"]).is_file() for row in found)
    assert len(found) == 120


def test_only_unsure_ones_or_a_share_are_kept(tmp_path: Path) -> None:
    made, told = keeper(tmp_path / "unsure", keep_unsure=True)
    made.offer(kept(picture_bytes(1)))
    made.offer(kept(picture_bytes(2), decision="unsure"))
    made.flush()
    assert ([row["decision"] for row in rows(tmp_path / "unsure")], told) == (["unsure"], {"kept": 1})
    made, told = keeper(tmp_path / "share", keep_share=0.5)
    for number in range(200):
        made.offer(kept(picture_bytes(number)))
        made.flush()
    assert 60 < told["kept"] < 140  # 5.6 standard deviations


@pytest.mark.parametrize("bound", [{"keep_pictures": 2}, {"keep_megabytes": 1}])
def test_the_folder_is_bounded_and_says_so_once(
    bound: dict[str, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, told = keeper(tmp_path, **bound)
    with caplog.at_level(logging.ERROR, "serve"):
        for number in range(5):
            made.offer(kept(picture_bytes(number, kind="PNG") + b"\0" * 400_000))
            made.flush()
    assert told == {"kept": 2, "full": 3}
    assert [record.message.partition(":")[0] for record in caplog.records] == ["No more pictures are kept"]


def test_a_folder_that_goes_away_fails_no_answer_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, told = keeper(tmp_path / "kept")
    (tmp_path / "kept" / "pictures").rmdir()
    with caplog.at_level(logging.ERROR, "serve"):
        for number in range(3):
            made.offer(kept(picture_bytes(number)))
            made.flush()
        (tmp_path / "kept" / "pictures").mkdir()
        made.offer(kept(picture_bytes(9)))
        made.flush()
    assert told == {"failed": 3, "kept": 1}
    assert len([record for record in caplog.records if "can't be kept" in record.message]) == 1


def test_a_row_that_can_t_be_written_leaves_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = keeper(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(keeping.os, "write", lambda *_: 3)
        made.offer(kept(picture_bytes(1)))
        made.flush()
    assert (told, list((tmp_path / "pictures").iterdir()), rows(tmp_path)) == ({"failed": 1}, [], [])


def test_a_slow_disk_drops_pictures_and_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = keeper(tmp_path)
    go = threading.Event()
    keep = made._keep
    monkeypatch.setattr(made, "_keep", lambda one: go.wait() and keep(one))
    for number in range(100):
        made.offer(kept(picture_bytes(number)))
    assert told["dropped"] in (100 - 64, 100 - 65)  # one may be in work
    go.set()
    made.flush()
    assert told["kept"] == 100 - told["dropped"]


def test_a_folder_that_can_t_be_made_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="kept"):
        keeper(tmp_path / "file" / "kept")


def test_such_a_folder_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="kept"):
        run(ServeSettings(model="m", keep=str(tmp_path / "file" / "kept")), print, port=0)
