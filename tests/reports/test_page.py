"""The report of a preprocessed set: both files beside it, or neither."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.data.index import Index, write_index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import MANIFEST, read_manifest, write_manifest
from imgcls_ray.data.sources.base import LocalReader
from imgcls_ray.errors import DataError
from imgcls_ray.reports.looks import look_for_gray
from imgcls_ray.reports.page import REPORT, REPORT_JSON, has_data_report, write_data_report
from imgcls_ray.reports.report import DataReport, GrayClass
from tests.reports.rows import OPS, rejected, row


@pytest.fixture
def preprocessed(tmp_path: Path, pictures: Path) -> Path:
    """The folder of a set made of `pictures`, without shards."""
    rows = []
    for path in sorted(pictures.rglob("*.png")):
        data = path.read_bytes()
        name = str(path.relative_to(pictures))
        rows.append(row(name, "train", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), width=32, height=24))
    rows.append(rejected("class0/gone.png", "truncated or damaged", sha256=None, width=None, height=None))
    folder = tmp_path / "set"
    folder.mkdir()
    sha256 = write_manifest(folder, rows)
    labels = Labels.of(entry.label for entry in rows)
    counts = {"train": [20, 20, 20], "val": [0, 0, 0], "test": [0, 0, 0]}
    write_index(folder, Index(labels, OPS, "hdf5", "f" * 64, "set", (), counts, sha256))  # type: ignore[arg-type]
    return folder


def test_both_files_are_written_and_say_the_same(preprocessed: Path, pictures: Path) -> None:
    before = {path.name for path in preprocessed.iterdir()}
    report = write_data_report(preprocessed, LocalReader(str(pictures)), "made up")
    assert {path.name for path in preprocessed.iterdir()} - before == {REPORT_JSON, REPORT}
    assert DataReport.from_json((preprocessed / REPORT_JSON).read_bytes()) == report
    page = (preprocessed / REPORT).read_text(encoding="utf-8")
    assert "made up" in page
    assert page.count("data:image/jpeg;base64,") == 3 * 8
    assert (report.counts.used, report.gray.looked) == (60, 60)


def test_it_is_written_again_equal(preprocessed: Path, pictures: Path) -> None:
    write_data_report(preprocessed, LocalReader(str(pictures)), "x")
    first = [(preprocessed / name).read_bytes() for name in (REPORT_JSON, REPORT)]
    write_data_report(preprocessed, LocalReader(str(pictures)), "x")
    assert [(preprocessed / name).read_bytes() for name in (REPORT_JSON, REPORT)] == first


def test_a_report_that_is_older_than_the_manifest_is_none(preprocessed: Path) -> None:
    assert not has_data_report(preprocessed)
    write_data_report(preprocessed, None, "x")
    assert has_data_report(preprocessed)
    rows = read_manifest(preprocessed)
    write_manifest(preprocessed, rows[1:])  # a file is gone
    written = (preprocessed / REPORT).stat().st_mtime_ns
    os.utime(preprocessed / MANIFEST, ns=(written + 1, written + 1))
    assert not has_data_report(preprocessed)


def test_without_a_reader_there_are_no_thumbnails(preprocessed: Path) -> None:
    report = write_data_report(preprocessed, None, "x")
    assert report.gray.looked == 0
    assert "base64" not in (preprocessed / REPORT).read_text(encoding="utf-8")


def test_a_source_that_is_gone_still_gives_a_report(preprocessed: Path, tmp_path: Path) -> None:
    report = write_data_report(preprocessed, LocalReader(str(tmp_path / "nowhere")), "x")
    assert report.counts.used == 60
    assert "No such file or directory" in (preprocessed / REPORT).read_text(encoding="utf-8")


def test_a_folder_without_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="preprocess"):
        write_data_report(tmp_path, None, "x")
    assert list(tmp_path.iterdir()) == []


def test_pictures_without_colour_are_counted_by_class(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (60, 1))
    colour = np.stack([ramp, ramp // 2, ramp.T], axis=2)
    for name, pixels in (("a/0.jpg", ramp), ("a/1.jpg", np.stack([ramp] * 3, axis=2)), ("b/2.jpg", colour)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name, quality=70)
    rows = [row("a/0.jpg"), row("a/1.jpg"), row("b/2.jpg"), row("b/gone.jpg")]
    found = look_for_gray(LocalReader(str(tmp_path)), rows)
    assert (found.looked, found.gray, found.classes) == (3, 2, (GrayClass("a", 2, 2),))
