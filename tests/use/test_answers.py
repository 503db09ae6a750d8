import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.bundle.card import Card
from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.errors import DataError
from imgcls_ray.use import answers
from tests.conftest import picture, write_tree

CLASSES = 3
TEMPLATES = np.stack([np.mean([picture(label, seed) for seed in range(8)], axis=0) for label in range(CLASSES)])


class Nearest:
    """Stands for a network: the class whose mean picture is nearest. Keeps the sizes of the batches it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(len(images))
        gaps = ((images[:, None] - TEMPLATES[None]) ** 2).mean(axis=(2, 3, 4))
        scores = np.exp(-gaps / 500)
        return cast(np.ndarray, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32))


@pytest.fixture
def engine() -> Nearest:
    return Nearest()


@pytest.fixture
def bundle(engine: Nearest, tmp_path: Path) -> Bundle:
    card = Card(name="s", study="s", settings={}, metrics={}, data_name="d", data_fingerprint="f", counts={})
    labels = Labels(tuple(f"class{label}" for label in range(CLASSES)))
    return Bundle(tmp_path / "bundle", labels, PixelOps(24, 32, "color"), card, cast(Any, engine))


def test_pictures_are_answered_in_their_order_highest_first(bundle: Bundle, pictures: Path) -> None:
    paths = [str(pictures / f"class{label}" / f"{number}.png") for number in (3, 1) for label in (2, 0, 1)]
    found = answers.classify(bundle, paths)
    assert [answer.image for answer in found] == paths
    assert [answer.predictions[0]["label"] for answer in found] == ["class2", "class0", "class1"] * 2
    for answer in found:
        scores = [prediction["probability"] for prediction in answer.predictions]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1)
        assert set(answer.to_json()) == {"image", "predictions", "decision"}


def test_a_broken_picture_has_a_reason_and_stops_no_other(bundle: Bundle, pictures: Path, tmp_path: Path) -> None:
    good = str(pictures / "class1" / "0.png")
    (tmp_path / "cut.png").write_bytes(Path(good).read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("no picture")
    found = answers.classify(bundle, [good, str(tmp_path / "cut.png"), str(tmp_path / "text.jpg"), good])
    assert [answer.error is None for answer in found] == [True, False, False, True]
    assert found[0].predictions == found[3].predictions
    document = found[1].to_json()
    assert set(document) == {"image", "error"}
    assert "can't be used" in document["error"]


def test_a_missing_picture_is_told_before_any_is_answered(bundle: Bundle, engine: Nearest, pictures: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png', where there is none"):
        answers.classify(bundle, [str(pictures / "class0" / "0.png"), "none.png"])
    with pytest.raises(DataError, match="which is a folder"):
        answers.classify(bundle, [str(pictures)])
    assert engine.batches == []


@pytest.mark.parametrize("number", [answers.BATCH - 1, answers.BATCH, answers.BATCH + 1])
def test_many_pictures_are_answered_in_batches_and_order(
    bundle: Bundle, engine: Nearest, pictures: Path, tmp_path: Path, number: int
) -> None:
    (tmp_path / "broken.png").write_bytes(b"")
    paths = [str(pictures / f"class{n % 3}" / "0.png") for n in range(number)]
    paths[1] = str(tmp_path / "broken.png")
    found = answers.classify(bundle, paths)
    assert [answer.image for answer in found] == paths
    assert [n for n, answer in enumerate(found) if answer.error] == [1]
    assert [answer.predictions[0]["label"] for answer in found[2:]] == [f"class{n % 3}" for n in range(2, number)]
    assert sum(engine.batches) == number - 1
    assert len(engine.batches) == (1 if number <= answers.BATCH else 2)


def test_evaluate_counts_every_picture_across_batches(
    bundle: Bundle, engine: Nearest, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answers.evaluate(bundle, str(pictures))
    monkeypatch.setattr(answers, "BATCH", 7)
    assert answers.evaluate(bundle, str(pictures)) == whole
    assert engine.batches == [60, *[7] * 8, 4]
    assert whole.metrics.images == 60
    assert whole.metrics.accuracy == 1
    assert {name: row.support for name, row in whole.metrics.per_class.items()} == dict.fromkeys(
        bundle.labels.names, 20
    )


def test_evaluate_puts_a_wrong_folder_into_the_figures(bundle: Bundle, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=2, each=10)
    for number in range(10):  # half of what stands in class1 looks like class0
        (data / "class0" / f"{number}.png").rename(data / "class1" / f"x{number}.png")
    (data / "class0").rmdir()
    metrics = answers.evaluate(bundle, str(data)).metrics
    assert metrics.accuracy == 0.5
    assert metrics.per_class["class1"].recall == 0.5
    assert metrics.per_class["class2"].support == 0


def test_evaluate_leaves_broken_pictures_out_and_says_why(bundle: Bundle, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=3, each=4)
    (data / "class0" / "cut.png").write_bytes((data / "class0" / "0.png").read_bytes()[:200])
    (data / "class2" / "text.jpg").write_text("no picture")
    evaluation = answers.evaluate(bundle, str(data))
    assert evaluation.metrics.images == 12
    assert set(evaluation.rejected) == {"class0/cut.png", "class2/text.jpg"}
    document = evaluation.to_json()
    assert document["rejected"] == evaluation.rejected
    assert {"accuracy", "loss", "f1_macro", "per_class", "images"} <= set(document)


def test_evaluate_refuses_what_it_can_not_measure(bundle: Bundle, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=2, each=2)
    (data / "class1").rename(data / "clas2")
    with pytest.raises(DataError, match=r"received 'clas2'; did you mean 'class2'\?"):
        answers.evaluate(bundle, str(data))
    with pytest.raises(DataError, match="There is no folder"):
        answers.evaluate(bundle, str(tmp_path / "none"))
    with pytest.raises(DataError, match="There is no folder"):
        answers.check_folder(str(tmp_path / "none"))
    texts = tmp_path / "texts"
    (texts / "class0").mkdir(parents=True)
    (texts / "class0" / "1.jpg").write_text("no picture")
    with pytest.raises(DataError, match="None of the 1 files"):
        answers.evaluate(bundle, str(texts))


def test_evaluate_takes_one_class_and_training_and_test_folders(bundle: Bundle, tmp_path: Path) -> None:
    write_tree(tmp_path / "data" / "Training", classes=3, each=3)
    write_tree(tmp_path / "data" / "Test", classes=3, each=2)
    assert answers.evaluate(bundle, str(tmp_path / "data")).metrics.images == 15
    assert answers.evaluate(bundle, str(write_tree(tmp_path / "one", classes=1, each=1))).metrics.images == 1


def test_evaluate_takes_tables_archives_and_addresses(bundle: Bundle, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", classes=3, each=3)
    expected = answers.evaluate(bundle, str(data)).metrics
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", data)
    assert answers.evaluate(bundle, archive, unpack=tmp_path / "unpacked").metrics == expected
    assert answers.evaluate(bundle, f"file://{data}").metrics == expected
    rows = [f"data/class{label}/{number}.png,class{label}" for label in range(3) for number in range(3)]
    (tmp_path / "t.csv").write_text("\n".join([*rows, "data/gone.png,class0", "data/class0/0.png", "x.png"]))
    evaluation = answers.evaluate(bundle, str(tmp_path / "t.csv"))
    assert evaluation.metrics == expected
    assert evaluation.rejected == {
        "data/gone.png": "can't be read (no such file or directory)",
        "x.png": "unlabelled",
    }
    answers.check_folder(archive)
    (tmp_path / "t.bin").write_text("?")
    with pytest.raises(DataError, match="file of another kind"):
        answers.check_folder(str(tmp_path / "t.bin"))
    (tmp_path / "dict.txt").write_text("class1\nclass2\n")
    part = answers.evaluate(bundle, str(data), SourceSettings(labels=str(tmp_path / "dict.txt")))
    assert part.metrics.images == 6
    assert set(part.rejected.values()) == {"unknown label (class0)"}
