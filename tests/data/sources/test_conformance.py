"""Each kind of source gives the same pictures behind the same contract."""

import csv
import gzip
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.data.shards.example import encode
from imgcls_ray.data.shards.records import framed
from imgcls_ray.data.sources import HEAD, Source, list_source
from imgcls_ray.errors import DataError, ImageError, SettingsError
from tests.conftest import write_tree

CLASSES = ("class0", "class1", "class2")
EACH = 4
OPS = PixelOps(24, 32, "color")


@dataclass(frozen=True)
class Kind:
    """How the pictures of a folder are put into another form; returns what a user would give."""

    make: Callable[[Path, Path], str]
    numbered: bool = False
    """The form knows classes by their number only."""


def _rows(folder: Path) -> list[tuple[str, str]]:
    return [(f"{label}/{n}.png", label) for label in CLASSES for n in range(EACH)]


def _splits(folder: Path, place: Path) -> str:
    for name in ("Training", "test"):
        shutil.copytree(folder, place / name)
        for label in CLASSES:
            for n in range(EACH):
                if (n == 0) != (name == "test"):
                    (place / name / label / f"{n}.png").unlink()
    return str(place)


def _csv(folder: Path, place: Path) -> str:
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("uri", "class"), *_rows(folder)])
    return str(folder / "t.csv")


def _jsonl(folder: Path, place: Path) -> str:
    (folder / "t.jsonl").write_text("\n".join(json.dumps({"path": p, "label": c}) for p, c in _rows(folder)))
    return str(folder / "t.jsonl")


def _archive(form: str) -> Callable[[Path, Path], str]:
    return lambda folder, place: shutil.make_archive(str(place), form, folder.parent, folder.name)


def _memory(folder: Path, place: Path) -> str:
    import fsspec

    for file in folder.rglob("*.*"):
        fsspec.filesystem("memory").pipe(f"/{place.name}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return f"memory://{place.name}"


def _memory_table(folder: Path, place: Path) -> str:
    _csv(folder, place)
    return _memory(folder, place) + "/t.csv"


def _hdf5(folder: Path, place: Path) -> str:
    with h5py.File(f"{place}.h5", "w") as file:
        for label in CLASSES:
            images = [np.asarray(Image.open(folder / label / f"{n}.png")) for n in range(EACH)]
            file[label] = np.stack(images)[..., ::-1] / 255
    return f"{place}.h5"


def _tfrecord(folder: Path, place: Path) -> str:
    place.mkdir()
    images = [((folder / path).read_bytes(), CLASSES.index(label)) for path, label in _rows(folder)]
    records = [encode({"image": image, "label": [number]}) for image, number in images]
    (place / f"00-{len(records)}.tfrec").write_bytes(b"".join(framed(records)))
    return str(place)


def _packed_tfrecord(folder: Path, place: Path) -> str:
    """As TensorFlow's writer compresses it, whatever the name says."""
    for file in Path(_tfrecord(folder, place)).iterdir():
        file.write_bytes(gzip.compress(file.read_bytes()))
    return str(place)


KINDS = {
    "class folders": Kind(lambda folder, place: str(folder)),
    "split folders": Kind(_splits),
    "csv": Kind(_csv),
    "jsonl": Kind(_jsonl),
    "zip": Kind(_archive("zip")),
    "tar": Kind(_archive("tar")),
    "tar.gz": Kind(_archive("gztar")),
    "remote folder": Kind(_memory),
    "remote table": Kind(_memory_table),
    "hdf5": Kind(_hdf5),
    "tfrecord": Kind(_tfrecord, numbered=True),
    "packed tfrecord": Kind(_packed_tfrecord, numbered=True),
}


@dataclass(frozen=True)
class Case:
    """One kind, made."""

    data: str
    folder: Path
    settings: SourceSettings
    unpack: Path

    def listed(self, model: Labels | None = None, **settings: str) -> Source:
        return list_source(self.data, self.settings.model_copy(update=settings), model, self.unpack)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    folder = write_tree(tmp_path / "in" / "set", classes=len(CLASSES), each=EACH)
    (tmp_path / "dict.txt").write_text("\n".join(CLASSES))
    settings = SourceSettings(labels=str(tmp_path / "dict.txt") if request.param.numbered else None)
    yield Case(request.param.make(folder, tmp_path / "made"), folder, settings, tmp_path / "unpacked")
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def test_the_pictures_and_their_classes_are_the_same_in_every_form(case: Case) -> None:
    source = case.listed()
    assert source.labels == Labels(CLASSES)
    assert len(source.items) == len(CLASSES) * EACH
    expected = {
        (label, decode((case.folder / label / f"{n}.png").read_bytes(), OPS).tobytes())
        for label in CLASSES
        for n in range(EACH)
    }
    assert {(item.label, decode(source.reader.read(item.path), OPS).tobytes()) for item in source.items} == expected


def test_items_are_sorted_each_once_and_the_same_each_time(case: Case) -> None:
    source = case.listed()
    paths = [item.path for item in source.items]
    assert paths == sorted(set(paths))
    assert case.listed() == source
    assert source.name == "".join(c for c in source.name if c.isascii() and (c.isalnum() or c in "._-"))


def test_a_reader_travels_to_a_task(case: Case) -> None:
    source = case.listed()
    reader = pickle.loads(pickle.dumps(source.reader))  # noqa: S301
    assert reader == source.reader
    assert len(pickle.dumps(source.reader)) < 2000
    path = source.items[0].path
    assert reader.read(path) == source.reader.read(path)


def test_the_head_is_shown_first_and_may_end_the_reading(case: Case) -> None:
    source = case.listed()
    path = source.items[0].path
    heads: list[bytes] = []
    content = source.reader.read(path, heads.append)
    assert heads == [content[:HEAD]]

    def refuse(head: bytes) -> None:
        raise ImageError("not wanted")

    with pytest.raises(ImageError, match="not wanted"):
        source.reader.read(path, refuse)


def test_what_is_not_there_is_an_os_error_that_says_why(case: Case) -> None:
    source = case.listed()
    gone = source.items[0].path.replace("0", "7777777")
    with pytest.raises(OSError) as error:
        source.reader.read(gone)
    assert error.value.strerror


def test_unknown_labels_are_left_out_with_a_reason(case: Case, tmp_path: Path) -> None:
    names = "class0\nclass1\n"
    (tmp_path / "two.txt").write_text(names)
    source = case.listed(labels=str(tmp_path / "two.txt"))
    assert source.labels == Labels(("class0", "class1"))
    refused = [item for item in source.items if item.refused]
    assert {(item.label, str(item.refused).partition(" (")[0]) for item in refused} == {("", "unknown label")}
    assert len(refused) == EACH


def test_for_a_trained_model_every_class_must_be_known(case: Case) -> None:
    model = Labels(("other", *reversed(CLASSES)))
    source = case.listed(model)
    assert source.labels == model
    assert list(source.items) == list(case.listed().items)
    with pytest.raises(DataError, match="must be classes of the model"):
        case.listed(Labels(("class0", "class1")))


def test_groups_are_taken_from_paths(case: Case) -> None:
    source = case.listed(group_by="(.)$")
    assert [item.group for item in source.items] == [item.path[-1] for item in source.items]
    with pytest.raises(SettingsError):
        case.listed(group_by="[")
