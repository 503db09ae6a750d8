"""What is written is what is loaded; what does not fit is refused and leaves nothing behind."""

import io
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from imgcls_ray.bundle import bundle as room
from imgcls_ray.bundle.bundle import is_bundle, load_bundle, write_bundle
from imgcls_ray.bundle.files import CHECKSUMS, GOLDEN, read_golden, write_checksums, write_golden, write_json
from imgcls_ray.bundle.files import LABELS as LABELS_FILE
from imgcls_ray.bundle.files import PIXELS as PIXELS_FILE
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.errors import ImageError, ModelError, StorageError
from imgcls_ray.inference.calibration import Calibration

from .conftest import CARD, LABELS, PIXELS, golden, tiny_model


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_loaded_bundle_answers_as_the_model_did(made: Path) -> None:
    bundle = load_bundle(made)
    images = golden(7)
    expected = tiny_model()(images.astype(np.float32), training=False).numpy()
    assert np.allclose(bundle.predict(images), expected, atol=1e-6)
    assert (bundle.labels, bundle.pixels, bundle.card) == (LABELS, PIXELS, CARD)


def test_a_bundle_holds_exactly_the_known_files(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == [
        "calibration.json",
        "card.json",
        "card.md",
        "checksums.json",
        "golden.npz",
        "labels.json",
        "model.keras",
        "pixels.json",
    ]
    assert is_bundle(made)
    assert not is_bundle(made.parent)


def test_encoded_pictures_and_broken_ones_keep_their_order(made: Path) -> None:
    bundle = load_bundle(made)
    images = golden(2)
    answers = bundle.predict_bytes([png(images[0]), b"no picture", png(images[1])])
    assert isinstance(answers[1], ImageError)
    expected = bundle.predict(images)
    assert np.allclose(answers[0], expected[0], atol=1e-6)
    assert np.allclose(answers[2], expected[1], atol=1e-6)
    assert bundle.predict_bytes([]) == []


def test_ranking_is_highest_first(made: Path) -> None:
    ranked = load_bundle(made).ranked(np.array([0.2, 0.7, 0.1], np.float32))
    assert [row["label"] for row in ranked] == ["dog", "cat", "owl"]
    assert ranked[0]["probability"] == pytest.approx(0.7)


def test_a_calibrated_bundle_answers_calibrated_and_keeps_doubts_to_itself(made: Path, tmp_path: Path) -> None:
    calibration = Calibration(2.0, threshold=0.6, class_thresholds={"dog": 0.8}, pictures=40)
    write_bundle(tmp_path / "b", tiny_model(), LABELS, PIXELS, CARD, golden(), calibration)
    bundle, plain = load_bundle(tmp_path / "b"), load_bundle(made).predict(golden())
    expected = np.sqrt(plain) / np.sqrt(plain).sum(1, keepdims=True)  # temperature 2 halves the logits
    assert np.allclose(bundle.predict(golden()), expected, atol=1e-6)
    assert bundle.calibration == calibration
    answers = {"sure": [0.6, 0.3, 0.1], "unsure": [0.1, 0.7, 0.2]}  # a dog needs 0.8
    assert {name: bundle.decision(np.array(row)) for name, row in answers.items()} == {name: name for name in answers}
    assert "calibrated on 40 validation pictures" in (tmp_path / "b" / "card.md").read_text()


def test_the_training_state_is_left_out(tmp_path: Path) -> None:
    model = tiny_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    images = golden()
    model.fit(images.astype(np.float32), np.zeros(len(images)), verbose=0)
    bundle = write_bundle(tmp_path / "b", model, LABELS, PIXELS, CARD, images)
    assert np.allclose(bundle.predict(images), model(images.astype(np.float32), training=False), atol=1e-6)


def test_an_existing_folder_is_not_overwritten(copy: Path) -> None:
    before = (copy / CHECKSUMS).read_bytes()
    with pytest.raises(StorageError, match="exists already"):
        write_bundle(copy, tiny_model(), LABELS, PIXELS, CARD, golden())
    assert (copy / CHECKSUMS).read_bytes() == before


@pytest.mark.parametrize(
    ("labels", "pixels", "images", "reason"),
    [
        (Labels(("cat", "dog")), PIXELS, golden(), "do not fit"),
        (LABELS, PixelOps(24, 16, "color"), golden(), "do(es)? not fit"),
        (LABELS, PIXELS, golden(0), "at least one golden"),
        (LABELS, PIXELS, golden().swapaxes(1, 2), "takes pictures"),
    ],
)
def test_parts_that_do_not_fit_leave_nothing(
    tmp_path: Path, labels: Labels, pixels: PixelOps, images: np.ndarray, reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        write_bundle(tmp_path / "b", tiny_model(), labels, pixels, CARD, images)
    assert list(tmp_path.iterdir()) == []


def test_a_model_with_custom_code_is_not_written(tmp_path: Path) -> None:
    model = tiny_model()
    odd = keras.Model(model.inputs, keras.layers.Lambda(lambda x: x)(model.output))
    with pytest.raises(ModelError, match="stock Keras layers"):
        write_bundle(tmp_path / "b", odd, LABELS, PIXELS, CARD, golden())
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_answers_no_numbers_is_not_written(tmp_path: Path) -> None:
    model = tiny_model()
    model.layers[-1].set_weights([np.full_like(weight, np.nan) for weight in model.layers[-1].get_weights()])
    with pytest.raises(ModelError, match="golden pictures differ"):
        write_bundle(tmp_path / "b", model, LABELS, PIXELS, CARD, golden())


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "write_golden", full)
    with pytest.raises(StorageError, match="full"):
        write_bundle(tmp_path / "b", tiny_model(), LABELS, PIXELS, CARD, golden())
    assert list(tmp_path.iterdir()) == []


def test_other_weights_are_found_by_the_golden_pictures(copy: Path) -> None:
    model = tiny_model()
    model.layers[-1].set_weights([weight + 0.1 for weight in reversed(model.layers[-1].get_weights())][::-1])
    model.layers[-1].bias.assign([0.5, 0.0, 0.0])
    model.save(copy / "model.keras")
    write_checksums(copy)
    with pytest.raises(ModelError, match="golden pictures differ"):
        load_bundle(copy)


def test_labels_of_another_number_are_refused(copy: Path) -> None:
    write_json(copy / LABELS_FILE, Labels(("cat", "dog")).to_json())
    write_checksums(copy)
    with pytest.raises(ModelError, match="do not fit"):
        load_bundle(copy)


def test_names_that_do_not_fit_their_digest_are_refused(copy: Path) -> None:
    write_json(copy / LABELS_FILE, LABELS.to_json() | {"names": ["ant", "dog", "owl"]})
    write_checksums(copy)
    with pytest.raises(ModelError, match="changed by hand"):
        load_bundle(copy)


@pytest.mark.parametrize("document", [{"height": 16}, {"height": "x", "width": 2, "colorspace": "color"}])
def test_pixel_operations_that_make_no_sense_are_refused(copy: Path, document: dict[str, object]) -> None:
    write_json(copy / PIXELS_FILE, document)
    write_checksums(copy)
    with pytest.raises(ModelError, match="can't be used"):
        load_bundle(copy)


def test_golden_pictures_of_another_size_are_refused(copy: Path) -> None:
    images, scores = read_golden(copy / GOLDEN)
    write_golden(copy / GOLDEN, images[:, :8], scores)
    write_checksums(copy)
    with pytest.raises(ModelError, match="golden pictures"):
        load_bundle(copy)


def test_import_loads_no_tensorflow() -> None:
    code = "import sys, imgcls_ray.bundle.bundle; sys.exit(bool({'tensorflow', 'keras', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
