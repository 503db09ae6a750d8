"""The report of a model: every fact is on the page, it needs nothing else, and it stays small."""

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.bundle.bundle import Bundle, Card, load_bundle, write_bundle
from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import Counts
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import shard_format
from imgcls_ray.evaluation.predictions import Predictions
from imgcls_ray.evaluation.reliability import reliability
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.models.network import build_cnn
from imgcls_ray.reports.model.album import Opened, ShardAlbum, SourceAlbum
from imgcls_ray.reports.model.facts import LISTED, _curve, _trust, model_report
from imgcls_ray.reports.model.gallery import Gallery, gallery
from imgcls_ray.reports.model.matrix import MAPPED, confusion_map, confusion_table
from imgcls_ray.reports.model.page import model_page, write_model_report
from imgcls_ray.reports.model.report import About, ModelReport
from tests.conftest import picture
from tests.reports.test_layout import NASTY, Memory, Page, encoded

OPS = PixelOps(16, 24, "color")
CARD = Card(
    name="pets",
    study="pets-1",
    settings={"backbone": "cnn"},
    metrics={"val_accuracy": 0.9},
    data_name="pets",
    data_fingerprint="f" * 64,
    counts={"used": 60},
)


def told(calibration: Calibration = Calibration(), rejected: dict[str, str] | None = None) -> About:  # noqa: B008
    return About(
        "pets", "the test split of pets", CARD.model_dump(mode="json"), ("a limit",), calibration, rejected or {}
    )


def answered(classes: int, each: int = 20, names: tuple[str, ...] = (), gain: float = 3.0) -> Predictions:
    """Answers of a model that is right in most cases; the more classes, the more mistakes."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), each)
    scores = generator.normal(size=(len(labels), classes))
    scores[np.arange(len(labels)), labels] += gain
    powers = np.exp(scores)
    keys = tuple(f"{label}/{number}.jpg" for number, label in enumerate(labels))
    names = names or tuple(f"class {number}" for number in range(classes))
    return Predictions(keys, labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), names)


def album(found: Predictions, ops: PixelOps = OPS) -> SourceAlbum:
    files = {
        key: encoded(picture(int(label) % 5, n))
        for n, (key, label) in enumerate(zip(found.keys, found.labels, strict=True))
    }
    return SourceAlbum(Memory(files), ops)


def page_of(report: ModelReport, pictures: Gallery = Gallery()) -> tuple[str, Page]:  # noqa: B008
    text = model_page(report, pictures)
    return text, Page(text)


def needs_nothing_else(text: str, page: Page) -> bool:
    loaded = [value for name, value in page.values if name in ("src", "href", "xlink:href")]
    return (
        "script" not in page.tags
        and all(value.startswith(("#", "data:image/")) for value in loaded)
        and not re.findall(r"url\((?!#)", text)
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("bundles") / "pets"
    model = build_cnn(TrialSettings(cnn_blocks=2, cnn_width=4), Size(16, 24), 3, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (2, *OPS.shape), dtype=np.uint8)
    return write_bundle(
        path, model, Labels(("cat", "dog", "owl")), OPS, CARD, pictures, Calibration(1.5, 0.05, 0.6, {}, 40)
    )


def test_a_whole_report_is_written_with_heat_maps_filters_and_maps(bundle: Bundle, tmp_path: Path) -> None:
    found = answered(3, gain=1.0, names=bundle.labels.names)
    about = told(bundle.calibration, {"x.txt": "not a picture"})
    page, facts = write_model_report(tmp_path / "m.html", bundle, about, found, album(found))
    text = page.read_text()
    parsed = Page(text)
    assert needs_nothing_else(text, parsed)
    ids = [value for name, value in parsed.values if name == "id"]
    assert len(ids) == len(set(ids))
    assert {"advice", "confusion", "mistakes", "curves", "classes", "rights", "inside", "left-out", "card"} <= set(ids)
    pictures = re.findall(r"<img [^>]*>", text)
    assert all(re.search(r'alt="[^"]+"', one) for one in pictures)
    # 12 mistakes of 3 pictures each, 3 that are right of 2, the filters, and maps of 3 sizes for two pictures.
    assert len(pictures) >= 12 * 3 + 3 * 2 + 1
    assert "where dog is seen in it" in text
    assert "8 filters" in text or "4 filters" in text
    assert "not a picture" in parsed.text
    assert len(text) < 600_000
    document = json.loads(facts.read_bytes())
    assert json.dumps(document["metrics"]["confusion"][0]) in facts.read_text()  # a row a line
    assert document["format_version"] == 1
    assert document["metrics"]["images"] == 60
    assert document["figures"]["accuracy"]["value"] == document["metrics"]["accuracy"]
    assert f"{document['metrics']['accuracy']:.4f}" in parsed.text
    mistakes = document["mistakes"]
    assert len(mistakes) == min(document["wrong"], LISTED)
    assert [one["probability"] for one in mistakes] == sorted((one["probability"] for one in mistakes), reverse=True)
    assert all(one["label"] != one["answer"] for one in mistakes)


def test_the_network_of_a_bundle_is_at_hand_whatever_its_engine(bundle: Bundle) -> None:
    assert bundle.network() is bundle.engine.model  # type: ignore[attr-defined]
    other = load_bundle(bundle.path)
    object.__setattr__(other, "engine", object())
    assert other.network().output_shape == (None, 3)


def test_before_calibration_is_what_the_network_gave() -> None:
    found = answered(4, each=50)
    calibration = Calibration(2.0, pictures=50)
    report = model_report(told(calibration), found.calibrated(calibration))
    plain = model_report(told(), found)
    assert report.trust.error_before == pytest.approx(plain.trust.error_after, abs=1e-4)
    assert [one.pictures for one in report.trust.before] == [one.pictures for one in plain.trust.after]
    assert report.trust.error_after != pytest.approx(report.trust.error_before, abs=1e-3)


def test_the_pairs_are_those_of_the_confusion_matrix() -> None:
    found = answered(5, gain=1.0)
    report = model_report(told(), found)
    confusion = np.array(report.metrics.confusion)
    first = report.pairs[0]
    place = found.names.index(first.truth), found.names.index(first.answer)
    assert first.pictures == confusion[place] == (confusion - np.diag(np.diag(confusion))).max()
    assert first.of == 20
    assert sum(pair.pictures for pair in report.pairs) == report.wrong == confusion.sum() - np.trace(confusion)


@pytest.mark.parametrize("classes", [2, 20, 21, 100])
def test_any_number_of_classes_is_readable_and_small(classes: int) -> None:
    found = answered(classes, each=8, gain=2.0)
    report = model_report(told(), found)
    text, page = page_of(report, gallery(report, album(found), None))
    assert needs_nothing_else(text, page)
    assert len(text) < 700_000
    confusion = np.array(report.metrics.confusion)
    table, drawing = confusion_table(confusion, found.names), confusion_map(confusion, found.names)
    assert (table is None) == (drawing is not None) == (classes > 20)
    if drawing:
        assert sorted(drawing.names) == sorted(found.names)
        cells = sum(path.count("M") for _, path in (*drawing.right, *drawing.wrong))
        assert cells == np.count_nonzero(confusion)
    assert all(name in page.text for name in found.names)


def test_of_many_classes_and_pictures_no_copies_of_the_answers_are_kept() -> None:
    found, calibration = answered(100, each=200, gain=6.0), Calibration(1.5, pictures=50)
    tracemalloc.start()
    try:
        kept = [_curve(found, place) for place in range(100)]
        trust = _trust(found, calibration)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * found.probabilities.nbytes
    assert all(kept)
    whole = reliability(Calibration(1 / 1.5).apply(found.probabilities), found.labels)
    assert trust.before == tuple(whole)


def test_very_many_classes_leave_those_without_mistakes_off_the_map() -> None:
    confusion = np.eye(MAPPED + 30, dtype=int) * 5
    confusion[1, 7] = confusion[9, 2] = 3
    drawing = confusion_map(confusion, tuple(map(str, range(len(confusion)))))
    assert drawing
    assert (len(drawing.names), drawing.left_out) == (MAPPED, 30)
    places = [drawing.names.index(name) for name in ("1", "7", "9", "2")]
    assert abs(places[0] - places[1]) == abs(places[2] - places[3]) == 1  # what is confused is side by side


@pytest.mark.parametrize(
    ("labels", "answers"),
    [([0], [0]), ([0], [1]), ([0, 0, 0], [0, 0, 0]), ([0, 1, 2], [1, 2, 0])],
    ids=["one right", "one wrong", "one class", "all wrong"],
)
def test_odd_answers_have_a_report(labels: list[int], answers: list[int]) -> None:
    found = Predictions(
        tuple(map(str, labels)), np.array(labels), np.eye(3, dtype=np.float32)[answers], ("a", "b", "c")
    )
    report = model_report(told(Calibration(2.0, 0.05, 2.0, {"a": 2.0}, 9)), found)
    text, page = page_of(report)
    assert needs_nothing_else(text, page)
    assert report.wrong == sum(label != answer for label, answer in zip(labels, answers, strict=True))
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["metrics"]["images"] == len(labels)
    assert ("guessing" in {one.about for one in report.advice}) == (len(set(labels)) > 1)


def test_names_of_others_are_text() -> None:
    report = model_report(told(), answered(2, names=(NASTY, "b"), gain=0.5))
    text, page = page_of(report)
    assert "<script" not in text
    assert NASTY[:30] in page.text


def test_a_file_that_is_gone_is_left_out() -> None:
    found = answered(3, gain=0.5)
    report = model_report(told(), found)
    files = SourceAlbum(Memory({report.mistakes[1].key: encoded(picture(1, 1))}), OPS)
    looks = gallery(report, files, None).mistakes
    assert [look.judged.key for look in looks] == [report.mistakes[1].key]
    assert looks[0].for_answer is None


def test_without_its_source_a_set_shows_what_the_network_gets(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *OPS.shape), dtype=np.uint8)
    keys = ("a/1.jpg", "a/2.jpg", "b/1.jpg")
    written = shard_format("hdf5").write(tmp_path / "s.h5", images, np.array([0, 0, 1]), keys)
    entry = ShardEntry("s.h5", "test", 3, written.bytes, written.sha256)
    labels, none = Labels(("a", "b")), {"train": [0, 0], "val": [0, 0], "test": [2, 1]}
    index = Index(labels, OPS, "hdf5", "f" * 64, "pets", (entry,), none, "0" * 64)  # type: ignore[arg-type]
    found = Preprocessed(tmp_path, index, Counts(3, 3, 0, 0), {})
    opened = ShardAlbum(found, "test").open(["a/2.jpg", "gone.jpg"])
    assert list(opened) == ["a/2.jpg"]
    np.testing.assert_array_equal(opened["a/2.jpg"].network, images[1])
    assert opened["a/2.jpg"].shown.shape == (round(176 * 16 / 24), 176, 3)


@pytest.mark.parametrize(("way", "warm"), [("stretch", (12, 30)), ("crop", (12, 30)), ("pad", (12, 30))])
def test_heat_lies_where_it_was_on_the_picture(way: str, warm: tuple[int, int]) -> None:
    from imgcls_ray.data.pixels import fitted

    image = np.zeros((24, 48, 3), np.uint8)
    image[warm[0] - 2 : warm[0] + 2, warm[1] - 2 : warm[1] + 2] = 255
    ops = PixelOps(20, 20, "color", way)  # type: ignore[arg-type]
    network = fitted(image, ops)
    heat = Opened(network, image, ops).framed(network[..., 0].astype(np.float32) / 255)
    assert heat.shape == (24, 48)
    rows, columns = np.nonzero(heat > 0.5 * heat.max())
    assert abs(rows.mean() - (warm[0] - 0.5)) < 1.5
    assert abs(columns.mean() - (warm[1] - 0.5)) < 1.5


def advice_of(found: Predictions, calibration: Calibration = Calibration()) -> dict[str, str]:  # noqa: B008
    return {one.about: one.text for one in model_report(told(calibration), found).advice}


def test_a_model_that_guesses_is_told_so() -> None:
    assert "not clearly better" in advice_of(answered(3, gain=0.0))["guessing"]
    assert "guessing" not in advice_of(answered(3, gain=3.0))


def test_labels_that_are_wrong_are_told_where_there_are_more_than_the_model_would_miss() -> None:
    found = answered(3, each=60, gain=14.0)
    labels = found.labels.copy()
    labels[:12] = 1
    wrong = Predictions(found.keys, labels, found.probabilities, found.names)
    text = advice_of(wrong)["labels"]
    doubted = model_report(told(), wrong).doubted
    assert 9 <= doubted <= 12  # one may be less sure than the class is on average
    assert text.startswith(f"{doubted} pictures are given another class")
    assert "None would be expected of the model itself, so some of these labels are likely wrong" in text
    assert "labels" not in advice_of(found)


def test_a_class_that_is_mostly_missed_is_named() -> None:
    found = answered(3, each=40, gain=8.0)
    probabilities = found.probabilities.copy()
    probabilities[:30] = probabilities[:30][:, [1, 0, 2]]  # three of four pictures of the first class
    advice = advice_of(Predictions(found.keys, found.labels, probabilities, found.names))
    assert "Of 40 pictures of class 0, 10 are recognised" in advice["weakest class"]
    assert "30 of 40 pictures of class 0 are taken for class 1" in advice["mistaken most"]
    assert "too sure" in advice["probabilities"]


def test_what_the_thresholds_come_to_is_told() -> None:
    found = answered(3, each=60, gain=2.0)
    advice = advice_of(found, Calibration(1.0, 0.05, 0.9, {}, 50))["sure and unsure"]
    assert "let a person look at the unsure ones" in advice
    strict = advice_of(found, Calibration(1.0, 0.001, 0.4, {}, 50))["sure and unsure"]
    assert "Only 0.1 % wrong were asked for" in strict


def test_sure_answers_that_are_mostly_wrong_and_none_at_all_are_told() -> None:
    found = answered(3, each=60, gain=0.5)
    every = model_report(told(Calibration(1.0, 0.05, 0.0, {}, 50)), found)
    assert every.trust.operating.unsure == 0
    (advice,) = (one for one in every.advice if one.about == "sure and unsure")
    assert advice.level == "act"
    assert advice.text.startswith("100 % of the pictures get a sure answer, and ")
    assert "Only 5 % wrong were asked for" in advice.text
    assert "sure and unsure" not in advice_of(answered(3, each=60, gain=14.0), Calibration(1.0, 0.05, 0.0, {}, 50))
    none = advice_of(found, Calibration(1.0, 0.05, 2.0, {}, 50))["sure and unsure"]
    assert none.startswith("No answer is marked sure: by the 50 pictures that the thresholds come from")
    assert "sure and unsure" not in advice_of(found, Calibration(1.0, 0.05, 2.0, {}, 0))
