import gzip
import io
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.shards.example import encode
from imgcls_ray.data.shards.records import framed
from imgcls_ray.data.sources import Source, list_source
from imgcls_ray.errors import DataError

RNG = np.random.default_rng(7)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


def arrays(path: Path, **classes: np.ndarray) -> str:
    with h5py.File(path, "w") as file:
        for name, values in classes.items():
            file[name] = values
    return str(path)


def image(source: Source, number: int) -> np.ndarray:
    reader = pickle.loads(pickle.dumps(source.reader))  # noqa: S301
    heads: list[bytes] = []
    content = reader.read(source.items[number].path, heads.append)
    assert heads == [content[:32]]
    assert content.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(content)))


def test_hdf5_rows_are_pictures_with_their_colours_turned_round(tmp_path: Path) -> None:
    dogs, cats = pixels(12, 5, 7, 3), pixels(2, 5, 7, 3)
    source = list_source(arrays(tmp_path / "pets.h5", dog=dogs, cat=cats))
    assert [item.path for item in source.items][:4] == [
        "pets.h5#cat/0",
        "pets.h5#cat/1",
        "pets.h5#dog/00",
        "pets.h5#dog/01",
    ]
    assert {(item.label, item.split, item.bytes) for item in source.items} == {("cat", None, 105), ("dog", None, 105)}
    assert (source.name, source.labels) == ("pets", Labels(("cat", "dog")))
    assert np.array_equal(image(source, 0), cats[0][..., ::-1])
    assert np.array_equal(image(source, 13), dogs[11][..., ::-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_and_gray_pictures_come_back_exactly(tmp_path: Path, dtype: type) -> None:
    gray = pixels(3, 6, 4)
    source = list_source(arrays(tmp_path / "x.hdf5", a=(gray / 255).astype(dtype), b=gray[..., None]))
    for number in range(3):
        assert np.array_equal(image(source, number), gray[number])
        assert np.array_equal(image(source, number + 3), gray[number])


def test_the_test_file_beside_a_training_file_is_found(tmp_path: Path) -> None:
    train = arrays(tmp_path / "p-train.h5", a=pixels(3, 4, 4), b=pixels(2, 4, 4), **{"c#1": pixels(2, 4, 4)})
    test = arrays(tmp_path / "p-test.h5", a=pixels(1, 4, 4), b=np.zeros(0))
    source = list_source(train)
    found = {(item.path, item.split) for item in source.items}
    assert {("p-test.h5#a/0", "test"), ("p-train.h5#c#1/1", "train")} <= found
    assert len(source.items) == 8
    assert image(source, 7).shape == (4, 4)
    assert len(list_source(test, labels=source.labels).items) == 1


def test_an_empty_class_of_a_training_file_can_be_left_out_by_a_label_list(tmp_path: Path) -> None:
    path = arrays(tmp_path / "p.h5", a=pixels(2, 4, 4), b=pixels(2, 4, 4), c=np.zeros(0))
    with pytest.raises(DataError, match=r"'c' in .* has 0: name the others in a label list"):
        list_source(path)
    (tmp_path / "dict.txt").write_text("b\na\n")
    assert list_source(path, SourceSettings(labels=str(tmp_path / "dict.txt"))).labels.names == ("b", "a")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (pixels(2, 4), r"'a' in .* is \(2, 4\)"),
        (pixels(2, 4, 4, 2), "4, 4, 2"),
        (np.zeros((2, 4, 4), np.int32), "is int32"),
        (np.full((2, 4, 4), -1.0), "'a' in .* goes beyond: scale it"),
        (np.full((2, 4, 4), np.nan), "'a' in .* goes beyond: scale it"),
    ],
)
def test_other_arrays_are_refused_in_a_sentence(tmp_path: Path, values: np.ndarray, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        list_source(arrays(tmp_path / "p.h5", a=values, b=pixels(2, 4, 4)))


def test_a_row_beyond_the_range_is_refused_when_it_is_read(tmp_path: Path) -> None:
    values = np.zeros((2, 4, 4), np.float32)
    values[1] = 7
    source = list_source(arrays(tmp_path / "p.h5", a=values, b=pixels(2, 4, 4)))
    with pytest.raises(OSError, match="outside of 0 to 1"):
        source.reader.read("p.h5#a/1")
    with pytest.raises(FileNotFoundError):
        source.reader.read("p.h5#a/2")
    with pytest.raises(FileNotFoundError):
        source.reader.read("p.h5#z/0")


def test_hdf5_that_leads_elsewhere_or_is_broken_is_refused(tmp_path: Path) -> None:
    other = arrays(tmp_path / "other.h5", a=pixels(2, 4, 4))
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["b"] = h5py.ExternalLink(other, "a")
    with pytest.raises(DataError, match=r"'b' in .* leads to another file"):
        list_source(str(tmp_path / "p.h5"))
    (tmp_path / "cut.h5").write_bytes(Path(other).read_bytes()[:600])
    with pytest.raises(DataError, match="must be whole"):
        list_source(str(tmp_path / "cut.h5"))
    with h5py.File(tmp_path / "none.h5", "w"):
        pass
    with pytest.raises(DataError, match="has none"):
        list_source(str(tmp_path / "none.h5"))


def records(path: Path, labels: list[int | list[int]], **features: bytes) -> list[bytes]:
    """Write a TFRecord file; the pictures in it are their numbers in text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [b"picture %d of %s" % (number, path.stem.encode()) for number in range(len(labels))]
    examples = [
        encode({"image": image, "label": label if isinstance(label, list) else [label]} | features)
        for image, label in zip(images, labels, strict=True)
    ]
    content = b"".join(framed(examples))
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return images


@pytest.mark.parametrize("suffix", [".tfrec", ".tfrecord", ".tfrecord.gz"])
def test_records_are_pictures_found_by_their_offset(tmp_path: Path, suffix: str) -> None:
    first = records(tmp_path / "set" / "train" / f"00-12{suffix}", [2, 10] * 6)
    other = records(tmp_path / "set" / "val" / f"00-2{suffix}", [10, 2])
    source = list_source(str(tmp_path / "set"))
    assert source.labels.names == ("2", "10")
    reader = pickle.loads(pickle.dumps(source.reader))  # noqa: S301
    assert [reader.read(item.path) for item in source.items] == first + other
    assert [reader.read(item.path) for item in reversed(source.items)] == [*reversed(other), *reversed(first)]
    assert source.items[0].path == f"train/00-12{suffix}#000000000000"
    assert [(item.split, item.label) for item in source.items[-2:]] == [("val", "10"), ("val", "2")]
    assert source.items[0].bytes == len(first[0])


def test_the_label_list_names_the_numbers(tmp_path: Path) -> None:
    records(tmp_path / "set" / "00-7.tfrec", [1, 0, 1, 0, 5, [], [0, 1]])
    (tmp_path / "dict.txt").write_text("zebra\nant\n")
    source = list_source(str(tmp_path / "set"), SourceSettings(labels=str(tmp_path / "dict.txt")))
    assert source.labels.names == ("zebra", "ant")
    assert [item.label for item in source.items] == ["ant", "zebra", "ant", "zebra", "", "", ""]
    reasons = [item.refused for item in source.items if item.refused]
    assert reasons == ["unknown label (5)", "unlabelled", "several labels (zebra, ant)"]


def test_what_is_lost_of_a_file_is_told(tmp_path: Path) -> None:
    records(tmp_path / "set" / "00-6.tfrec", [0, 1, 0, 1])
    whole = (tmp_path / "set" / "00-6.tfrec").read_bytes()
    (tmp_path / "set" / "01-4.tfrec").write_bytes(whole[: len(whole) * 2 // 3])
    source = list_source(str(tmp_path / "set"))
    assert [item.refused for item in source.items if item.refused] == [
        "records are missing (4 of 6)",
        "damaged from this record on",
    ]
    (tmp_path / "set" / "00-6.tfrec").write_bytes(whole[:40] + b"?" + whole[41:])
    with pytest.raises(OSError, match="damaged record"):
        source.reader.read("00-6.tfrec#000000000000")


def test_other_records_are_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    example = encode({"image_uri": b"x", "embedding": np.zeros(4, np.float32)})
    (folder / "a.tfrecord").write_bytes(b"".join(framed([example])))
    with pytest.raises(DataError, match=r"hold `image`, .* those of .* hold embedding, image_uri"):
        list_source(str(folder))
    (folder / "a.tfrecord").write_bytes(b"no record at all")
    with pytest.raises(DataError, match="TFRecord file"):
        list_source(str(folder))


def test_a_class_folder_with_records_in_it_stays_a_class_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        records(tmp_path / name / "1.tfrec", [0])
        records(tmp_path / name / "2.tfrec", [0])
    assert list_source(str(tmp_path)).labels.names == ("a", "b")
