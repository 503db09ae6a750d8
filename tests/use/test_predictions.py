"""A table of predictions has one row a file, whatever the files are; requests carry what the graph reads alike."""

import base64
import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.errors import DataError, StorageError
from imgcls_ray.use import predictions
from imgcls_ray.use.predictions import write_predictions
from imgcls_ray.use.requests import write_requests
from tests.conftest import picture


class Brightness:
    """Stands for a bundle: tells dark pictures from bright ones."""

    labels = Labels(("bright", "dark"))
    pixels = PixelOps(8, 8, "color")

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(len(images))
        share = images.mean(axis=(1, 2, 3)) / 255
        return np.stack([share, 1 - share], axis=1).astype(np.float32)


def classify(places: list[str], out: Path, bundle: Any = None) -> predictions.Predictions:
    return write_predictions(bundle or Brightness(), places, out)  # type: ignore[arg-type]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them below, a text, an empty file, a hidden one."""
    root = tmp_path / "in"
    (root / "b").mkdir(parents=True)
    Image.new("RGB", (20, 20), (250, 250, 250)).save(root / "b" / 'odd, "name".png')
    Image.new("L", (20, 20), 5).save(root / "a.jpg")
    (root / "notes.txt").write_text("no picture")
    (root / "empty.jpg").touch()
    (root / ".hidden.jpg").write_bytes(b"x")
    return root


def test_each_file_has_a_row(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    out.write_text("older")
    done = classify([str(folder)], out)
    found = {Path(row["key"]).name: row for row in rows(out)}
    assert list(found) == ["a.jpg", "empty.jpg", "notes.txt", 'odd, "name".png']
    assert (found["a.jpg"]["prediction"], found["a.jpg"]["label"], found["a.jpg"]["error"]) == ("1", "dark", "")
    assert json.loads(found["a.jpg"]["scores"]) == pytest.approx([5 / 255, 250 / 255], abs=0.01)
    assert found['odd, "name".png']["label"] == "bright"
    assert [found[name]["error"] for name in ("empty.jpg", "notes.txt")] == ["empty file", "not a picture"]
    assert done.to_json() == {"csv": str(out), "answered": 2, "rejected": {"empty file": 1, "not a picture": 1}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "predictions.csv"]


def test_pictures_come_in_batches(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "BATCH", 2)
    bundle = Brightness()
    classify([str(folder / "a.jpg")] * 5, tmp_path / "p.csv", bundle)
    assert (bundle.batches, len(rows(tmp_path / "p.csv"))) == ([2, 2, 1], 5)


def test_without_one_picture_the_older_table_stays(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    out.write_text("older")
    with pytest.raises(DataError, match="None of the 1 files"):
        classify([str(folder / "notes.txt")], out)
    assert out.read_text() == "older"
    with pytest.raises(DataError, match="neither"):
        classify([str(folder / "gone")], out)
    with pytest.raises(StorageError, match="folder that exists"):
        classify([str(folder)], tmp_path / "gone" / "p.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "predictions.csv"]


def encoded(kind: str, mode: str = "RGB", exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(picture(1, 0, (30, 40))).convert(mode)
    image.save(buffer, kind, **({"exif": exif} if exif else {}))
    return buffer.getvalue()


def test_requests_carry_what_the_graph_reads_alike(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {
        "a.jpg": encoded("JPEG"),
        "b.png": encoded("PNG"),
        "c.jpg": encoded("JPEG", exif=turned),
        "d.jpg": encoded("JPEG", "CMYK"),
        "e.bmp": encoded("BMP"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files]
    done = write_requests(paths, tmp_path / "request.json")
    lines = [json.loads(line) for line in (tmp_path / "request.json").read_text().splitlines()]
    assert [line["key"] for line in lines] == paths
    assert {frozenset(line) for line in lines} == {frozenset({"key", "image_bytes"})}
    sent = [base64.b64decode(line["image_bytes"]["b64"]) for line in lines]
    assert sent[:2] == [files["a.jpg"], files["b.png"]]
    assert done.encoded == tuple(paths[2:])
    ops = PixelOps(16, 16, "color")
    for name, data in zip(files, sent, strict=True):
        assert data[:2] in (b"\xff\xd8", b"\x89P")
        assert np.abs(decode(files[name], ops).astype(int) - decode(data, ops)).mean() < 3, name


def test_large_pictures_are_made_smaller_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    done = write_requests([str(tmp_path / "a.jpg")], tmp_path / "r.jsonl", longest=20)
    line = json.loads((tmp_path / "r.jsonl").read_text())
    assert Image.open(io.BytesIO(base64.b64decode(line["image_bytes"]["b64"]))).size == (20, 15)
    assert len(done.encoded) == 1
    assert write_requests([str(tmp_path / "a.jpg")], tmp_path / "r.jsonl", longest=40).encoded == ()


def test_a_broken_picture_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    (tmp_path / "b.jpg").write_bytes(encoded("JPEG")[:200])
    with pytest.raises(DataError, match=r"b\.jpg' can't be sent: truncated or damaged"):
        write_requests([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")], tmp_path / "request.json")
    assert not (tmp_path / "request.json").exists()


def test_a_film_is_not_read_and_a_pipe_not_waited_for(folder: Path, tmp_path: Path) -> None:
    with (folder / "film.mp4").open("wb") as film:
        film.write(b"\0\0\0\x20ftypisom")
        film.truncate(2**40)
    os.mkfifo(folder / "pipe.jpg")
    out = tmp_path / "predictions.csv"
    classify([str(folder)], out)
    errors = {Path(row["key"]).name: row["error"] for row in rows(out)}
    assert (errors["film.mp4"], errors["pipe.jpg"]) == ("not a picture", "no file")
