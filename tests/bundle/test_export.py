"""Each format says what the bundle says, or is not written."""

import json
from pathlib import Path

import keras
import numpy as np
import openvino
import pytest
import tensorflow as tf

from imgcls_ray.bundle.bundle import Bundle, write_bundle
from imgcls_ray.bundle.export.base import Exporter, Parts
from imgcls_ray.bundle.export.formats import FORMATS, exporter, note_of
from imgcls_ray.bundle.export.job import export_bundle
from imgcls_ray.bundle.export.network import export_network
from imgcls_ray.bundle.export.parity import compare
from imgcls_ray.bundle.export.pictures import Pictures
from imgcls_ray.bundle.export.stock import KerasFile
from imgcls_ray.data.shards.jpeg import encode
from imgcls_ray.errors import ModelError, SettingsError, StorageError
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.inference.conversion import convert
from imgcls_ray.inference.openvino import OpenVinoEngine
from tests.conftest import picture

from .conftest import CARD, LABELS, PIXELS, tiny_model

CALIBRATION = Calibration(1.6, threshold=0.5, class_thresholds={"dog": 0.8}, pictures=40)
HELD_OUT = np.stack([picture(number % 3, 100 + number, (16, 24)) for number in range(30)])
TRAINING = np.stack([picture(number % 3, number, (16, 24)) for number in range(60)])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Calibrated, and sure of what it says: a network that never learned names another class at the least change."""
    model = tiny_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.01
    model.fit(TRAINING.astype(np.float32), np.arange(60) % 3, epochs=30, batch_size=20, verbose=0)
    return write_bundle(tmp_path_factory.mktemp("x") / "b", model, LABELS, PIXELS, CARD, HELD_OUT[:4], CALIBRATION)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    encoded = tuple(encode(picture(label, 7, (100, 130))) for label in range(3))
    return Pictures(TRAINING, HELD_OUT, "others", encoded, "three JPEGs", held_out=True)


def place_of(kind: Exporter, folder: Path) -> Path:
    return folder / f"out{kind.suffix}"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_holds_to_the_contract(name: str, bundle: Bundle, pictures: Pictures, tmp_path: Path) -> None:
    kind = exporter(name)
    if name == "bundle_bfloat16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute in bfloat16")
    place = place_of(kind, tmp_path)
    done = export_bundle(bundle, kind, place, pictures)
    assert (kind.name, done.path, done.parity.pictures) == (name, place, 34)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([place.name, note_of(place).name])
    found = kind.load(place).predict(HELD_OUT)
    expected = bundle.predict(HELD_OUT)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= kind.tolerance
    assert (found.argmax(1) == expected.argmax(1)).mean() >= kind.agreement
    assert np.allclose(found.sum(1), 1, atol=0.02)
    note = json.loads(note_of(place).read_text())
    assert note["format"] == name
    assert note["labels"]["names"] == list(LABELS.names)
    assert note["temperature"] == {"value": 1.6, "inside": True}
    assert note["parity"]["largest"] <= note["parity"]["tolerance"] == kind.tolerance
    assert note["megabytes"] > 0 < note["milliseconds_per_picture"]
    with pytest.raises(StorageError, match="exists already"):
        export_bundle(bundle, kind, place, pictures)


def test_openvino_compiled_as_the_note_says_answers_as_was_proved(
    bundle: Bundle, pictures: Pictures, tmp_path: Path
) -> None:
    place = tmp_path / "ir"
    note = export_bundle(bundle, exporter("openvino"), place, pictures).document
    program = openvino.Core().compile_model(place / "model.xml", "CPU", note["compile_with"])
    assert np.abs(program(HELD_OUT)[0] - bundle.predict(HELD_OUT)).max() <= note["parity"]["tolerance"]


class Crooked(KerasFile):
    """Writes another network than it was given."""

    def write(self, parts: Parts, place: Path) -> None:
        last = parts.network.layers[-1]
        last.set_weights([weights + 0.1 * np.arange(3) for weights in last.get_weights()])
        super().write(parts, place)


def test_an_export_that_answers_otherwise_is_refused(bundle: Bundle, pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"may differ from the bundle by 1e-05.*nothing was written"):
        export_bundle(bundle, Crooked(), tmp_path / "deep" / "out.keras", pictures)
    assert list((tmp_path / "deep").iterdir()) == []


class Nothing(KerasFile):
    """Writes a network that answers not-a-number."""

    def write(self, parts: Parts, place: Path) -> None:
        last = parts.network.layers[-1]
        last.set_weights([np.full_like(weights, np.nan) for weights in last.get_weights()])
        super().write(parts, place)


def test_an_export_that_answers_no_numbers_is_refused(bundle: Bundle, pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="differs by nan"):
        export_bundle(bundle, Nothing(), tmp_path / "out.keras", pictures)
    assert list(tmp_path.iterdir()) == []


class Missing(KerasFile):
    packages = ("imgcls_no_such_package",)
    extra = "export"


def test_a_missing_package_and_a_wrong_name_are_told_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"needs imgcls_no_such_package.*imgcls-ray\[export\]"):
        Missing().check(tmp_path / "out.keras")
    with pytest.raises(SettingsError, match=r"ends with \.tflite"):
        exporter("tflite").check(tmp_path / "out.lite")
    with pytest.raises(SettingsError, match="did you mean 'onnx'"):
        exporter("onxx")


def test_integers_chosen_by_golden_pictures_carry_a_warning(bundle: Bundle, tmp_path: Path) -> None:
    few = Pictures(TRAINING, HELD_OUT[:0], "the golden pictures of the bundle")
    done = export_bundle(bundle, exporter("tflite_int8"), tmp_path / "out.tflite", few)
    assert "--data" in done.warnings[0]
    assert json.loads(done.note.read_text())["warnings"] == list(done.warnings)


def test_ties_do_not_count_as_other_answers() -> None:
    expected = np.array([[0.4, 0.40001, 0.2], [0.7, 0.2, 0.1]], np.float32)
    found = np.array([[0.40001, 0.4, 0.2], [0.2, 0.7, 0.1]], np.float32)
    parity = compare(expected, found)
    assert (parity.agreement, parity.largest) == (0.5, pytest.approx(0.5))


def odd_model() -> keras.Model:
    """Standardises as DenseNet does and has sums with numbers as MobileNetV3 has them."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 24, 3))
    x = keras.ops.flip(pixels, axis=-1)
    x = keras.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3000.0, 3100.0, 2900.0])(x)
    x = keras.layers.Conv2D(4, 3, strides=2)(x)
    x = x * (keras.layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)) - 0.5
    x = keras.layers.GlobalAveragePooling2D()(x / 2.0)
    return keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(x))


def test_what_some_runtimes_can_not_take_is_put_another_way(tmp_path: Path) -> None:
    model = odd_model()
    images = HELD_OUT.astype(np.float32)
    network = export_network(model, Calibration(2.0))
    expected = Calibration(2.0).apply(model(images, training=False).numpy())
    assert np.allclose(network(images, training=False), expected, atol=1e-6)
    kinds = {type(layer).__name__ for layer in network.layers}
    assert "Normalization" not in kinds
    assert kinds - {"InputLayer", "Rescaling", "Conv2D", "ReLU", "GlobalAveragePooling2D", "Dense"} == {"Multiply"}
    assert np.abs(OpenVinoEngine(convert(network), threads=1).predict(HELD_OUT) - expected).max() < 1e-5
    with pytest.raises((ValueError, TypeError)):
        model.save(tmp_path / "as_it_is.h5")
        keras.saving.load_model(tmp_path / "as_it_is.h5", compile=False)
    network.save(tmp_path / "mended.h5")
    again = keras.saving.load_model(tmp_path / "mended.h5", compile=False)
    assert np.allclose(again(images, training=False), expected, atol=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_takes_what_convnext_is_made_of(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((16, 24, 3))
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 40, -3.0)(pixels))
    x = keras.layers.Conv2D(4, 3, groups=4, strides=2, padding="same", bias_initializer="normal")(x)
    x = keras.layers.Dense(8, activation="gelu")(keras.layers.Flatten()(x))
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(x))
    bundle = write_bundle(tmp_path / "b", model, LABELS, PIXELS, CARD, HELD_OUT[:4])
    kind = exporter(name)
    place = place_of(kind, tmp_path)
    kind.write(Parts(export_network(model, bundle.calibration), bundle, TRAINING), place)
    expected = bundle.predict(HELD_OUT)
    assert np.ptp(expected, axis=0).max() > 0.1
    assert np.abs(kind.load(place).predict(HELD_OUT) - expected).max() <= kind.tolerance


def test_an_average_of_networks_is_calibrated_too() -> None:
    model = tiny_model()
    pixels = model.input
    flipped = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(pixels))
    both = keras.Model(pixels, keras.layers.Average()([model.output, flipped]))
    images = HELD_OUT.astype(np.float32)
    expected = Calibration(3.0).apply(both(images, training=False).numpy())
    assert np.allclose(export_network(both, Calibration(3.0))(images, training=False), expected, atol=2e-6)


def test_the_saved_model_answers_as_the_earlier_cloud_system_did(
    bundle: Bundle, pictures: Pictures, tmp_path: Path
) -> None:
    export_bundle(bundle, exporter("saved_model"), tmp_path / "served", pictures)
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()
    loaded = tf.saved_model.load(str(tmp_path / "served" / "1"))
    call = loaded.signatures["serving_default"]
    found = call(key=tf.constant(["b.jpg", "a.jpg"]), image_bytes=tf.constant(list(pictures.encoded[:2])))
    assert {name: (value.dtype.name, value.shape.rank) for name, value in found.items()} == {
        "key": ("string", 1),
        "prediction": ("int64", 1),
        "scores": ("float32", 2),
    }
    assert found["key"].numpy().tolist() == [b"b.jpg", b"a.jpg"]
    answers = [answer for answer in bundle.predict_bytes(list(pictures.encoded[:2])) if isinstance(answer, np.ndarray)]
    assert np.abs(found["scores"].numpy() - np.stack(answers)).max() <= 0.02
    assert found["prediction"].numpy().tolist() == found["scores"].numpy().argmax(1).tolist()
    decoder = json.loads((tmp_path / "served.json").read_text())["decoder"]
    assert (decoder["pictures"], decoder["judged_on"]) == (3, "three JPEGs")
    assert decoder["largest"] <= decoder["tolerance"] == 0.02
