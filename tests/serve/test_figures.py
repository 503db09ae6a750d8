"""A picture's probabilities are the same figures in evaluation, from the reloaded bundle and over HTTP."""

from pathlib import Path
from typing import cast

import numpy as np
import openvino
import pytest
from fastapi.testclient import TestClient

from imgcls_ray.bundle.bundle import Bundle, load_bundle, write_bundle
from imgcls_ray.bundle.export.formats import exporter
from imgcls_ray.bundle.export.job import export_bundle
from imgcls_ray.bundle.export.pictures import Pictures
from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.png import png_of
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.inference.engine import load_engine
from imgcls_ray.models.network import build_cnn
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.bundle.conftest import CARD
from tests.conftest import picture

PIXELS = PixelOps(24, 32, "color")
IMAGES = np.stack([picture(number % 3, number) for number in range(12)])
CALIBRATION = Calibration(1.7, threshold=0.4, pictures=12)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A bundle's folder, and what evaluation said of `IMAGES` before it was written."""
    import keras

    keras.utils.set_random_seed(3)
    model = build_cnn(TrialSettings(cnn_blocks=2, cnn_width=8), Size(24, 32), 3, 3)
    last = model.layers[-1]
    last.set_weights([8 * weights for weights in last.get_weights()])  # far from one third each
    path = tmp_path_factory.mktemp("figures") / "b"
    write_bundle(path, model, Labels(("a", "b", "c")), PIXELS, CARD, IMAGES[:4], CALIBRATION)
    return path, CALIBRATION.apply(load_engine(model).predict(IMAGES))


def served(bundle: Bundle) -> np.ndarray:
    """(n, K) as the service answers to PNGs, one by one."""
    settings = ServeSettings(model="stand-in")
    predictor = Predictor(Served(bundle), settings)
    predictor.warm_up()
    rows = []
    with TestClient(build_app(predictor, settings)) as client:
        for image in IMAGES:
            answer = client.post("/classify", files={"img": ("x.png", png_of(image))})
            found = {row["label"]: row["probability"] for row in answer.json()["predictions"]}
            rows.append([found[name] for name in bundle.labels.names])
    return np.array(rows)


def test_tensorflow_within_a_millionth(written: tuple[Path, np.ndarray]) -> None:
    path, evaluated = written
    bundle = load_bundle(path)
    assert evaluated.max() - evaluated.min() > 0.3
    answers = [cast(np.ndarray, bundle.predict_bytes([png_of(image)])[0]) for image in IMAGES]
    for found in (bundle.predict(IMAGES), np.stack(answers), served(bundle)):
        assert np.abs(found - evaluated).max() <= 1e-6


@pytest.mark.parametrize(("format", "tolerance"), [("bundle_openvino", 1e-5), ("bundle_bfloat16", 0.02)])
def test_a_choice_is_recorded_and_kept(
    format: str, tolerance: float, written: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    if format == "bundle_bfloat16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute in bfloat16")
    path, evaluated = written
    done = export_bundle(load_bundle(path), exporter(format), tmp_path / "chosen", Pictures(IMAGES, IMAGES, "others"))
    chosen = load_bundle(tmp_path / "chosen")
    precision = format.removeprefix("bundle_").replace("openvino", "float32")
    assert (chosen.engine.name, chosen.engine.precision) == ("openvino", precision)
    assert (chosen.card.inference.engine, chosen.card.inference.precision) == ("openvino", precision)
    assert 0 <= chosen.card.inference.difference <= tolerance
    assert f"openvino in {precision}" in (tmp_path / "chosen" / "card.md").read_text()
    for found in (chosen.predict(IMAGES), served(chosen)):
        assert np.abs(found - evaluated).max() <= tolerance
    assert done.parity.largest <= tolerance
    assert (chosen.labels, chosen.calibration) == (load_bundle(path).labels, CALIBRATION)
