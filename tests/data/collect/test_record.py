import json
from pathlib import Path

import pytest

from imgcls_ray.data.collect.attribution import credit, write_attribution
from imgcls_ray.data.collect.record import Entry, JsonLines
from imgcls_ray.errors import StorageError

ENTRY = Entry("http://a/1.jpg", "urls", "red rose", "roses", "train", "2026-01-01T00:00:00+00:00", creator="Ännchen")


def test_an_entry_goes_through_json(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "record") as record:
        record.append(ENTRY.to_json())
        assert [Entry.from_json(document) for document in record.read()] == [ENTRY]
    document = json.loads((tmp_path / "record").read_text())
    assert document["class"] == "roses"
    assert "title" not in document


@pytest.mark.parametrize("change", [{"url": ""}, {"url": 3}, {"again": "yes"}, {"file": None}])
def test_an_entry_that_was_changed_by_hand(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"url|again|file"):
        Entry.from_json(ENTRY.to_json() | change)


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_cut_last_line_is_passed_over_and_ended(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "record"
    with JsonLines(path) as record:
        record.append({"number": 1})
        record.append({"number": 2, "text": "x" * 40})
    path.write_bytes(path.read_bytes()[:-cut])
    with JsonLines(path) as record:
        whole = [{"number": 1}, {"number": 2, "text": "x" * 40}][: 2 if cut == 1 else 1]
        assert record.read() == whole
        record.append({"number": 3})
        assert record.read() == [*whole, {"number": 3}]


def test_lines_that_are_no_documents_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "record").write_bytes(b'\xff\xfe\n[1]\n\n{"a": 1}\n' + b"[" * 100_000 + b"\n")
    with JsonLines(tmp_path / "record") as record:
        assert record.read() == [{"a": 1}]


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "record"), pytest.raises(StorageError, match="One run collects into a folder at a time"):
        JsonLines(tmp_path / "record")
    with JsonLines(tmp_path / "record"):
        pass


def test_a_record_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "record").mkdir()
    with pytest.raises(StorageError, match="with --out"):
        JsonLines(tmp_path / "record")


def test_the_credit_tells_title_author_source_and_licence(tmp_path: Path) -> None:
    entry = Entry(
        "http://a/1.jpg", "openverse", "rose", "roses", "", "2026", "https://a/page", "CC BY 2.0", "https://cc/by/2.0/",
        "Ann", "A rose,\nred", "roses/roses_1.jpg", "00",
    )  # fmt: skip
    assert credit(entry) == '"A rose, red" by Ann, CC BY 2.0 (https://cc/by/2.0/), from https://a/page'
    assert credit(ENTRY) == "Picture by Ännchen, from http://a/1.jpg"
    write_attribution(tmp_path, [entry, ENTRY])
    lines = (tmp_path / "ATTRIBUTION.csv").read_text(encoding="utf-8")
    assert lines.startswith("file,title,creator,source,license,license_url,url,credit\n,,Ännchen,http://a/1.jpg,,,")
    assert "roses/roses_1.jpg," in lines
