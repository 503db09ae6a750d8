import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray.data.collect import (
    Candidate,
    Client,
    Collected,
    CollectListener,
    CollectSettings,
    Openverse,
    Provider,
    Row,
    UrlLists,
    collect,
)
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.errors import DataError, StorageError
from tests.data.collect.conftest import QUICK
from tests.data.collect.server import Server, jpeg

ROSES = Row(2, "red rose", 5, "roses", "train")
ROSES_VAL = Row(3, "red rose", 2, "roses", "val")
TULIPS = Row(4, "tulip", 3, "tulips", "train")
ROWS = (ROSES, ROSES_VAL, TULIPS)

Run = Callable[..., Collected]


def paths(*numbers: int) -> list[str]:
    return [f"/pic/{number}.jpg" for number in numbers]


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Run:
    """Collect from the server's API into `tmp_path/out`, each time with a new client."""

    def call(
        rows: tuple[Row, ...] = ROWS,
        out: Path = tmp_path / "out",
        listener: CollectListener | None = None,
        provider: Provider | None = None,
        **changes: object,
    ) -> Collected:
        settings = QUICK.model_copy(update=changes)
        client = Client(settings)
        return collect(
            rows, provider or Openverse(client, api=f"{server.url}/v1/images/"), client, out, settings, listener
        )

    return call


def of_list(row: Row, server: Server, *names: str) -> UrlLists:
    return UrlLists({row.key: tuple(Candidate(name if "://" in name else server.url + name) for name in names)})


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def pictures(out: Path) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files(out) if "/" in name}


def record(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "collected.jsonl").read_text().splitlines()]


def test_each_row_gets_its_pictures_where_preprocess_looks(server: Server, run: Run, tmp_path: Path) -> None:
    server.found = {"red rose": paths(*range(30)), "tulip": paths(*range(40, 50))}
    collected = run()
    assert (collected.asked, collected.downloaded, collected.had, collected.short) == (10, 10, 0, {})
    assert sorted(server.pictures_asked) == sorted(paths(*range(7), 40, 41, 42))
    out = tmp_path / "out"
    assert files(out) == [
        "ATTRIBUTION.csv",
        "collected.jsonl",
        "searches.jsonl",
        *(f"train/roses/roses_{number}.jpg" for number in range(1, 6)),
        *(f"train/tulips/tulips_{number}.jpg" for number in range(1, 4)),
        *(f"val/roses/roses_{number}.jpg" for number in range(1, 3)),
    ]
    assert len(set(pictures(out).values())) == 10
    for name in pictures(out):
        decode((out / name).read_bytes(), PixelOps(height=8, width=8, colorspace="color"))
    first = next(line for line in record(out) if line["url"] == f"{server.url}/pic/0.jpg")
    assert first["sha256"] == pictures(out)[str(first["file"])]
    assert {"page", "license", "license_url", "creator", "title", "time"} <= first.keys()
    assert (first["term"], first["class"], first["split"], first["provider"]) == (
        "red rose",
        "roses",
        "train",
        "openverse",
    )
    assert (out / "ATTRIBUTION.csv").read_text(encoding="utf-8").count("CC BY 2.0 (https://") == 10


def test_without_splits_classes_lie_at_the_top(server: Server, run: Run, tmp_path: Path) -> None:
    server.found = {"rose": paths(1, 2)}
    run((Row(2, "rose", 2, "roses", None),))
    assert sorted(pictures(tmp_path / "out")) == ["roses/roses_1.jpg", "roses/roses_2.jpg"]
    with pytest.raises(DataError, match="laid out with splits or without"):
        run()


def test_a_second_run_asks_for_nothing(server: Server, run: Run, tmp_path: Path) -> None:
    server.found = {"red rose": paths(*range(30)), "tulip": paths(*range(40, 50))}
    run()
    before, asked = pictures(tmp_path / "out"), list(server.asked)
    collected = run()
    assert (collected.had, collected.downloaded, collected.found) == (10, 0, 0)
    assert server.asked == asked
    assert pictures(tmp_path / "out") == before


def test_a_larger_number_goes_on_where_it_stopped(server: Server, run: Run, tmp_path: Path) -> None:
    server.found = {"rose": paths(*range(45))}
    row = Row(2, "rose", 20, "roses", None)
    run((row,))
    before = pictures(tmp_path / "out")
    collected = run((Row(2, "rose", 43, "roses", None),))
    assert (collected.had, collected.downloaded, collected.short) == (20, 23, {})
    assert pictures(tmp_path / "out").items() >= before.items()
    assert len(server.asked) == len(set(server.asked)) == 43 + 3


def test_what_is_there_stays_and_a_deleted_picture_is_not_fetched_again(
    server: Server, run: Run, tmp_path: Path
) -> None:
    server.found = {"rose": paths(*range(8))}
    mine = tmp_path / "out" / "roses" / "roses_7.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    row = (Row(2, "rose", 3, "roses", None),)
    run(row)
    out = tmp_path / "out"
    assert sorted(pictures(out)) == [
        *(f"roses/roses_{n}.jpg" for n in (10,)),
        *(f"roses/roses_{n}.jpg" for n in (7, 8, 9)),
    ]
    assert mine.read_bytes() == b"mine"
    gone = pictures(out)["roses/roses_8.jpg"]
    (out / "roses" / "roses_8.jpg").unlink()
    collected = run(row)
    assert (collected.had, collected.downloaded, collected.skipped["deleted by you"]) == (2, 1, 1)
    assert gone not in pictures(out).values()
    assert (out / "ATTRIBUTION.csv").read_text().count("roses/roses_") == 3


@pytest.mark.parametrize("gone", ["roses/roses_3.jpg", "roses"])
def test_the_name_of_a_deleted_picture_is_not_given_again(server: Server, run: Run, tmp_path: Path, gone: str) -> None:
    server.found = {"rose": paths(*range(9))}
    out, row = tmp_path / "out", (Row(2, "rose", 3, "roses", None),)
    run(row)
    first = set(pictures(out))
    (shutil.rmtree if gone == "roses" else Path.unlink)(out / gone)
    left = set(pictures(out))
    assert run(row).short == {}
    assert set(pictures(out)) - left == {f"roses/roses_{number}.jpg" for number in range(4, 7 - len(left))}
    assert not (set(pictures(out)) - left) & first
    with (out / "ATTRIBUTION.csv").open(newline="") as table:
        assert sorted(told["file"] for told in csv.DictReader(table)) == sorted(pictures(out))
    assert run(row).had == 3


def test_of_two_records_of_one_file_the_newest_counts(server: Server, run: Run, tmp_path: Path) -> None:
    server.found = {"rose": paths(*range(9))}
    out, row = tmp_path / "out", (Row(2, "rose", 2, "roses", None),)
    run(row)
    (out / "roses" / "roses_1.jpg").unlink()
    one, two = ({**line, "file": "roses/roses_2.jpg"} for line in record(out))  # as earlier versions wrote them
    lines = [{**two, "title": "old"}, {**one, "title": "wrong"}, {**two, "title": "right"}]
    (out / "collected.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    collected = run(row)
    assert (collected.had, collected.downloaded) == (1, 1)
    with (out / "ATTRIBUTION.csv").open(newline="") as table:
        told = {row["file"]: row["title"] for row in csv.DictReader(table)}
    assert (sorted(told), told["roses/roses_2.jpg"]) == (sorted(pictures(out)), "right")


def test_equal_bytes_are_kept_once_wherever_they_come_from(server: Server, run: Run, tmp_path: Path) -> None:
    row = Row(2, "rose", 9, "roses", None)
    lists = of_list(row, server, "/pic/1.jpg", "/pic/1.jpg?again", "/pic/2.jpg", "/pic/3.jpg")
    mine = tmp_path / "out" / "roses" / "own.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(jpeg(2))
    collected = run((row,), provider=lists, threads=1)
    assert (collected.downloaded, collected.skipped, collected.short) == (3, {"same picture": 1}, {"roses": 6})
    assert sorted(pictures(tmp_path / "out")) == ["roses/own.jpg", "roses/roses_1.jpg", "roses/roses_2.jpg"]
    asked = list(server.asked)
    again = run((row,), provider=lists)
    assert (again.downloaded, again.skipped) == (0, {"there already": 3, "refused before": 1})
    assert server.asked == asked


def test_an_address_in_two_classes_is_used_once(server: Server, run: Run, tmp_path: Path) -> None:
    other = Row(3, "tulip", 1, "tulips", None)
    row = Row(2, "rose", 1, "roses", None)
    url = Candidate(server.url + "/pic/1.jpg")
    collected = run((row, other), provider=UrlLists({row.key: (url,), other.key: (url,)}))
    assert (collected.downloaded, collected.skipped) == (1, {"there already": 1})
    assert list(pictures(tmp_path / "out")) == ["roses/roses_1.jpg"]


def test_bad_answers_are_counted_by_reason_and_only_some_are_tried_again(
    server: Server, run: Run, tmp_path: Path
) -> None:
    names = ("page", "empty", "half", "icon", "gone", "broken", "huge", "cut", "file", "round", "busy", "moved")
    row = Row(2, "rose", 50, "roses", None)
    lists = of_list(row, server, *(f"/pic/{name}.jpg" for name in names), "http://10.0.0.1:bad/x.jpg")
    collected = run((row,), provider=lists, timeout=20)
    assert collected.downloaded == 2  # busy and moved
    assert collected.failed == {
        "not a picture": 1,
        "empty file": 1,
        "truncated or damaged": 1,
        "too small": 1,
        "HTTP 410": 1,
        "HTTP 500": 1,
        "too many bytes": 1,
        "cut off": 1,
        "redirect to no http address": 1,
        "too many redirects": 1,
        "no http address": 1,
    }
    assert len(pictures(tmp_path / "out")) == 2
    server.asked.clear()
    again = run((row,), provider=lists, timeout=20)
    assert set(server.asked) == {f"/pic/{name}.jpg" for name in ("icon", "broken", "huge", "cut")}
    assert again.skipped == {"refused before": 7, "there already": 2}


def test_a_search_that_fails_leaves_the_other_rows(server: Server, run: Run) -> None:
    server.found = {"red rose": paths(*range(30)), "tulip": paths(*range(40, 50))}
    server.refusals["/v1/images/"] = 2
    server.refusal = (500, {})
    collected = run()
    assert collected.failed == {"search: HTTP 500": 1}
    assert collected.short == {"train/roses": 5}
    assert run().short == {}


def test_a_run_that_was_killed_leaves_whole_pictures_and_goes_on(server: Server, tmp_path: Path, run: Run) -> None:
    server.found = {"rose": paths(*range(40))}
    out = tmp_path / "out"
    program = f"""
from pathlib import Path
from imgcls_ray.data.collect import *
settings = CollectSettings(allow_private=True, rate=100, threads=4)
client = Client(settings)
rows = (Row(2, "rose", 40, "roses", None),)
collect(rows, Openverse(client, api={server.url + "/v1/images/"!r}), client, Path({str(out)!r}), settings)
"""
    for delay in (0.05, 0.15):
        asked = len(server.pictures_asked)
        process = subprocess.Popen([sys.executable, "-c", program])
        while len(server.pictures_asked) < asked + 3:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for name in pictures(out):
            if not Path(name).name.startswith("."):
                assert (out / name).read_bytes() in {jpeg(number) for number in range(40)}
    collected = run((Row(2, "rose", 40, "roses", None),))
    assert collected.had + collected.downloaded == 40
    assert collected.short == {}
    whole = [digest for name, digest in pictures(out).items() if not Path(name).name.startswith(".")]
    assert len(whole) == len(set(whole)) == 40


def test_a_picture_whose_line_was_lost_is_taken_up_again(server: Server, run: Run, tmp_path: Path) -> None:
    server.found = {"rose": paths(1, 2)}
    row = (Row(2, "rose", 2, "roses", None),)
    run(row)
    path = tmp_path / "out" / "collected.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    before = pictures(tmp_path / "out")
    collected = run(row)
    assert (collected.had, collected.downloaded, collected.short) == (1, 1, {})
    assert pictures(tmp_path / "out") == before


def test_ctrl_c_ends_with_what_is_there(server: Server, run: Run, tmp_path: Path) -> None:
    class Interrupt(CollectListener):
        def advanced(self, done: int, asked: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

    server.found = {"red rose": paths(*range(30)), "tulip": paths(*range(40, 50))}
    collected = run(listener=Interrupt())
    assert collected.interrupted
    assert (collected.downloaded, sum(collected.short.values())) == (3, 7)
    assert (tmp_path / "out" / "ATTRIBUTION.csv").read_text(encoding="utf-8").count("/roses_") == 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("collect")]
    assert run().short == {}


def test_two_runs_into_one_folder(server: Server, run: Run, tmp_path: Path) -> None:
    class Second(CollectListener):
        def row_started(self, row: Row) -> None:
            with pytest.raises(StorageError, match="One run collects into a folder at a time"):
                run()

    run((Row(2, "rose", 0, "roses", "train"),), listener=Second())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="with --out"):
        run()


def test_an_out_that_is_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StorageError, match="with --out"):
        run()


def test_settings_have_bounds() -> None:
    for wrong in ({"rate": 0}, {"threads": 0}, {"contact": "a\r\nX-Evil: 1"}, {"contact": "ä"}, {"max_redirects": 50}):
        with pytest.raises(ValueError, match="validation error"):
            CollectSettings.model_validate(wrong)
