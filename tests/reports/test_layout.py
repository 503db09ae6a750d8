"""The page: everything is on it, nothing is loaded from elsewhere, and nothing a file is called can break it."""

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources.base import LocalReader, Reader
from imgcls_ray.reports import thumbnails as thumbs
from imgcls_ray.reports.data import data_report
from imgcls_ray.reports.layout import data_page
from imgcls_ray.reports.report import Gray, GrayClass
from tests.conftest import picture
from tests.reports.rows import LOOKS, OPS, many, rejected, report_of, row

VOID = {"meta", "img", "br", "link", "input", "hr"}
NASTY = "<script>alert(1)</script>\"'&{{7*7}}</style>"


class Page(HTMLParser):
    """A page taken apart; an element that is not closed, or closed twice, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(name, value or "") for name, value in attrs]
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class Memory(Reader):
    """Pictures that are held in memory; what is not there can't be read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.reads = 0

    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        self.reads += 1
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]


def encoded(pixels: np.ndarray, name: str = "JPEG") -> bytes:
    """A picture file."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, name)
    return sink.getvalue()


def everything() -> list:
    """Rows that fill every section of the page."""
    return [
        *many("cat", 60, 5, 5),
        *many("dog", 200, 20, 20),
        *[row(f"cat/n{n}.jpg", group="near-1", **LOOKS) for n in range(12)],
        row("dog/n.jpg", group="near-1", **LOOKS),
        row("dog/p.jpg", group="patient 1"),
        row("dog/lost.gif", bytes=10, width=300, height=20),
        row("cat/copy.jpg", None, status="duplicate", reason="same picture as cat/00000.jpg"),
        rejected("cat/x.jpg", "same picture under two labels (dog/x.jpg)", sha256="1"),
        rejected("dog/x.jpg", "same picture under two labels (cat/x.jpg)", sha256="1"),
        *[rejected(f"cat/bad{n}.jpg", "truncated or damaged", width=None, height=None) for n in range(10)],
        rejected("cat/near.jpg", "near copy in another split (cat/00001.jpg, test)", group="near-1"),
        rejected("cat/tie.jpg", "ties two splits together (a in train, b in test)"),
    ]


def test_all_sections_are_there_and_well_formed() -> None:
    report = report_of(everything(), gray=Gray(300, 20, (GrayClass("cat", 100, 20),)))
    text = data_page(report, None, "pets")
    page = Page(text)
    sections = {value for name, value in page.values if name == "id"}
    assert sections == {
        "advice", "classes", "sizes", "conflicts", "near-labels", "left-out", "odd", "copies", "near", "leaks",
    }  # fmt: skip
    for advice in report.advice:
        assert advice.text.replace(" %", "\u00a0%") in page.text
    assert "truncated or damaged" in page.text
    assert text.startswith("<!doctype html>")


def test_sections_without_content_are_not_there() -> None:
    page = Page(data_page(report_of(many("a", 5)), None, "a"))
    assert {value for name, value in page.values if name == "id"} == {"advice", "classes", "sizes", "leaks"}


@pytest.mark.parametrize("classes", [1, 199, 1000])
def test_every_class_is_on_the_page(classes: int) -> None:
    rows = [row(f"class {number}!/{n}.jpg") for number in range(classes) for n in range(number % 3 + 1)]
    page = Page(data_page(report_of(rows), None, "many"))
    for number in range(classes):
        assert f"class {number}!" in page.text


def test_the_page_needs_nothing_from_elsewhere() -> None:
    reader = Memory({"cat/00000.jpg": encoded(picture(0, 0))})
    text = data_page(report_of(everything()), reader, "pets")
    page = Page(text)
    assert not re.search(r"(?:https?:)?//\w", re.sub(r"base64,[\w+/=]+", "", text))
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert all(value.startswith("data:image/jpeg;base64,") for name, value in page.values if name == "src")
    assert not [name for name, _ in page.values if name.startswith("on") or name == "href"]
    assert "default-src 'none'" in text


def test_names_labels_and_titles_are_text_wherever_they_stand() -> None:
    rows = everything()
    rows += [
        row(f"{NASTY}/{NASTY}.jpg"),
        row(f"{NASTY}/flat.{NASTY}", signature=bytes(256)),
        rejected(f"{NASTY}/x{NASTY}", NASTY, sha256=None),
        rejected(f"{NASTY}/1", f"same picture under two labels ({NASTY})", sha256="7"),
        rejected(f"{NASTY}/2", f"same picture under two labels ({NASTY})", sha256="7"),
        rejected(f"{NASTY}/3", f"near copy in another split ({NASTY}, test)"),
    ]
    labels = Labels.of(entry.label for entry in rows)
    report = data_report(rows, labels, OPS, Gray(300, 100, (GrayClass(NASTY, 20, 20),)))
    page = Page(data_page(report, None, NASTY))
    assert "script" not in page.tags
    assert page.tags.count("style") == 1
    assert "{{7*7}}" in page.text
    assert "49" not in re.findall(r"\{\{\d+", page.text)


def test_thumbnails_are_small_upright_and_in_their_own_shape() -> None:
    turned = Image.fromarray(np.full((100, 400, 3), 90, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    sink = io.BytesIO()
    turned.save(sink, "JPEG", exif=exif)
    reader = Memory({"a/0.jpg": sink.getvalue(), "a/1.png": encoded(np.zeros((10, 2000, 3), np.uint8), "PNG")})
    made = thumbs.thumbnails(reader, report_of([row("a/0.jpg"), row("a/1.png")]).classes[0].examples)
    assert (made["a/0.jpg"].width, made["a/0.jpg"].height) == (36, 144)
    assert made["a/1.png"].width == 144
    assert len(made["a/0.jpg"].source or "") < 5000


def test_what_can_not_be_shown_says_why() -> None:
    files = {"a/0": b"", "a/1": b"GIF8\x00\x1b<script>"}
    reports = report_of([*many("a", 3), *[rejected(f"a/{n}", "not a picture") for n in range(3)]])
    page = Page(data_page(reports, Memory(files), "broken"))
    assert "0 bytes" in page.text
    assert "47 49 46 38 00 1b 3c 73  GIF8··<s" in page.text
    assert "No such file or directory" in page.text
    assert "script" not in page.tags


def test_a_large_file_is_not_read_and_a_large_picture_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbs, "MAX_FILE", 500)
    reader = Memory({"a/0.jpg": encoded(picture(0, 0))})
    example = report_of([row("a/0.jpg", bytes=501)]).classes[0].examples
    made = thumbs.thumbnails(reader, example)
    assert made["a/0.jpg"].source is None
    assert reader.reads == 0


def test_thumbnails_end_at_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Memory({f"a/{n:05}.jpg": encoded(picture(n, 0)) for n in range(30)})
    pictures = [one for n in range(30) for one in report_of([row(f"a/{n:05}.jpg")]).classes[0].examples]
    one = len(thumbs.thumbnails(reader, pictures[:1])["a/00000.jpg"].source or "")
    monkeypatch.setattr(thumbs, "MAX_BYTES", 3 * one)
    made = thumbs.thumbnails(reader, pictures)
    assert 1 <= len(made) < 10
    assert sum(len(thumb.source or "") for thumb in made.values()) <= 3 * one
    monkeypatch.setattr(thumbs, "MAX_BYTES", 2_000_000)
    monkeypatch.setattr(thumbs, "MAX_PICTURES", 4)
    assert len(thumbs.thumbnails(reader, pictures)) == 4
    monkeypatch.setattr(thumbs, "MAX_SECONDS", -1.0)
    assert thumbs.thumbnails(reader, pictures) == {}


def test_a_large_set_makes_a_page_that_is_not_large(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    (tmp_path / "a.jpg").write_bytes(encoded(noise))
    rows = [
        row(f"class{n % 400:03}/{n:06}{'long name ' * 10}.jpg", group=f"near-{n // 9}" if n % 5 else None)
        for n in range(20_000)
    ]
    rows += [rejected(f"class{n % 7}/bad{n}.jpg", f"reason {n % 40}") for n in range(4000)]

    class Same(Reader):
        def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
            return LocalReader(str(tmp_path)).read("a.jpg", check)

    assert len(data_page(report_of(rows), Same(), "large").encode()) < 3_000_000
