"""A bundle with reference statistics: a checked file, and features behind its probabilities."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.bundle.bundle import load_bundle, write_bundle
from imgcls_ray.bundle.export.formats import exporter
from imgcls_ray.bundle.export.job import export_bundle
from imgcls_ray.bundle.export.pictures import Pictures
from imgcls_ray.bundle.files import REFERENCE, write_checksums
from imgcls_ray.data.png import png_of
from imgcls_ray.errors import ModelError
from imgcls_ray.evaluation.drift import fit_reference
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.inference.engine import TensorFlowEngine
from imgcls_ray.inference.reference import Reference

from .conftest import CARD, LABELS, PIXELS, golden, tiny_model

CALIBRATION = Calibration(1.5, threshold=0.4, pictures=40)
IMAGES = golden(40)


def pooled() -> np.ndarray:
    model = tiny_model()
    taps = keras.Model(model.input, model.get_layer("pooled").output)
    return np.asarray(taps(IMAGES.astype(np.float32), training=False))


@pytest.fixture(scope="module")
def reference() -> Reference:
    found = fit_reference(CALIBRATION.apply(TensorFlowEngine(tiny_model()).predict(IMAGES)), pooled())
    assert found
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, reference: Reference) -> Path:
    path = tmp_path_factory.mktemp("reference") / "b"
    write_bundle(path, tiny_model(), LABELS, PIXELS, CARD, golden(), CALIBRATION, reference)
    return path


def test_its_rows_have_features_behind_calibrated_probabilities(path: Path, reference: Reference) -> None:
    bundle = load_bundle(path)
    assert bundle.reference == reference
    expected = CALIBRATION.apply(TensorFlowEngine(tiny_model()).predict(IMAGES))
    assert bundle.predict(IMAGES) == pytest.approx(expected, abs=1e-6)
    found = np.stack(bundle.answers_of(list(IMAGES)))  # type: ignore[arg-type]
    assert found[:, :3] == pytest.approx(expected, abs=1e-6)
    assert found[:, 3:] == pytest.approx(pooled(), abs=1e-5)
    [one] = bundle.predict_bytes([png_of(IMAGES[0])])
    assert isinstance(one, np.ndarray)
    assert one.shape == (3,)
    assert bundle.network().output_shape == (None, 3)


def test_openvino_gives_them_too(path: Path, tmp_path: Path, reference: Reference) -> None:
    export_bundle(load_bundle(path), exporter("bundle_openvino"), tmp_path / "o", Pictures(IMAGES, IMAGES, "made"))
    bundle = load_bundle(tmp_path / "o")
    assert (bundle.engine.name, bundle.reference) == ("openvino", reference)
    found = np.stack(bundle.answers_of(list(IMAGES)))  # type: ignore[arg-type]
    assert found[:, 3:] == pytest.approx(pooled(), abs=1e-4)


def test_features_that_never_differed_are_not_given_out(tmp_path: Path, reference: Reference) -> None:
    limits = {kind: limit for kind, limit in reference.limits.items() if kind != "embedding"}
    without = replace(reference, mean=(), deviation=(), limits=limits)
    write_bundle(tmp_path / "b", tiny_model(), LABELS, PIXELS, CARD, golden(), CALIBRATION, without, portable=True)
    bundle = load_bundle(tmp_path / "b")
    assert bundle.engine.name == "openvino"
    [row] = bundle.answers_of([IMAGES[0]])
    assert isinstance(row, np.ndarray)
    assert row.shape == (3,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pictures": 7}, "reference statistics"),
        ({"labels": [20, 20]}, "does not fit its labels"),
        ({"mean": [1.0], "deviation": [1.0]}, "does not fit the features"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(
    path: Path, reference: Reference, change: dict[str, object], reason: str
) -> None:
    before = (path / REFERENCE).read_text(), (path / "checksums.json").read_text()
    (path / REFERENCE).write_text(json.dumps(reference.to_json() | change))
    with pytest.raises(ModelError, match=f"{REFERENCE} .* was changed"):
        load_bundle(path)
    write_checksums(path)
    with pytest.raises(ModelError, match=reason):
        load_bundle(path)
    (path / REFERENCE).unlink()
    with pytest.raises(ModelError, match="does not list"):
        load_bundle(path)
    for name, text in zip((REFERENCE, "checksums.json"), before, strict=True):
        (path / name).write_text(text)
    assert load_bundle(path).reference == reference
