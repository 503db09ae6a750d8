"""Engines: one conformance suite that each has to pass, and what is TensorFlow's own."""

import importlib.util
import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import ModelError, SettingsError
from imgcls_ray.inference import openvino as openvino_engine
from imgcls_ray.inference.base import FEATURE_TOLERANCE, PROBABILITY_TOLERANCE
from imgcls_ray.inference.choice import log_once
from imgcls_ray.inference.conversion import check_agreement, convert
from imgcls_ray.inference.engine import Engine, TensorFlowEngine, load_engine
from imgcls_ray.inference.openvino import OpenVinoEngine
from imgcls_ray.models import NO_WEIGHTS, resolve_weights
from imgcls_ray.models.network import assemble, build_cnn, build_features, build_head


def on_openvino(model: keras.Model, threads: int = 2) -> Engine:
    return OpenVinoEngine(convert(model), threads)


ENGINES: list[Callable[[keras.Model], Engine]] = [TensorFlowEngine, on_openvino]


def pixels(count: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_cnn(TrialSettings(cnn_blocks=2, cnn_width=4), Size(12, 12), 3, 5)


@pytest.mark.parametrize("make", ENGINES)
def test_an_engine_answers_any_number_of_pictures_as_the_model_does(
    make: Callable[[keras.Model], Engine], model: keras.Model
) -> None:
    engine = make(model)
    for count in (0, 1, 3, 9, 31, 32, 33, 70):
        images = pixels(count)
        answer = engine.predict(images)
        assert answer.shape == (count, 5)
        assert answer.dtype == np.float32
        if count:
            np.testing.assert_allclose(answer, np.asarray(model(images, training=False)), atol=1e-6)
    assert engine.predict(pixels(64)[::2]).shape == (32, 5)  # not contiguous


@pytest.mark.parametrize("make", ENGINES)
def test_a_picture_gets_the_same_answer_alone_and_among_others(
    make: Callable[[keras.Model], Engine], model: keras.Model
) -> None:
    engine = make(model)
    engine.warm_up()
    images = pixels(45)
    alone = np.concatenate([engine.predict(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_allclose(engine.predict(images), alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", ENGINES)
@pytest.mark.parametrize("wrong", [pixels(2, 16), pixels(2).astype(np.float32), pixels(2)[0], pixels(2)[..., :1]])
def test_an_engine_refuses_pictures_of_another_shape_or_type(
    make: Callable[[keras.Model], Engine], model: keras.Model, wrong: np.ndarray
) -> None:
    with pytest.raises(ModelError, match=r"takes pictures \(n, 12, 12, 3\) of type uint8"):
        make(model).predict(wrong)


@pytest.mark.parametrize("make", ENGINES)
def test_several_threads_may_ask_at_once(make: Callable[[keras.Model], Engine], model: keras.Model) -> None:
    engine = make(model)
    batches = [pixels(count) for count in (1, 5, 17, 40, 3, 64, 9, 31)]
    expected = [engine.predict(images) for images in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for answer, right in zip(pool.map(engine.predict, batches), expected, strict=True):
                np.testing.assert_allclose(answer, right, atol=1e-6, rtol=0)


def test_tensorflow_traces_each_batch_size_once(model: keras.Model) -> None:
    engine = TensorFlowEngine(model, batch=16)
    engine.warm_up()
    for count in (1, 2, 5, 8, 9, 15, 16, 40):
        engine.predict(pixels(count))
    assert engine._run.experimental_get_tracing_count() == 3


def test_the_default_engine_is_tensorflow(model: keras.Model) -> None:
    assert isinstance(load_engine(model), TensorFlowEngine)


def test_with_real_weights_a_batch_of_32_agrees_with_single_pictures(test_weights: Path) -> None:
    features = build_features(
        "mobilenet_v2_0.35", Size(96, 96), 3, resolve_weights("mobilenet_v2_0.35", (str(test_weights),))
    )
    keras.utils.set_random_seed(3)
    engine = load_engine(assemble(features, build_head(TrialSettings(), 1280, 6)))
    images = pixels(32, 96)
    alone = np.concatenate([engine.predict(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_allclose(engine.predict(images), alone, atol=1e-6, rtol=0)


def backbone(size: int = 32, name: str = "mobilenet_v2_0.35") -> keras.Model:
    return build_features(name, Size(size, size), 3, NO_WEIGHTS)


@pytest.mark.parametrize("size", [32, 96])
def test_openvino_gives_the_features_of_tensorflow_within_the_tolerance(size: int) -> None:
    model = backbone(size)
    images = pixels(11, size)
    expected = TensorFlowEngine(model).predict(images)
    gap = np.abs(on_openvino(model).predict(images) - expected).max()
    assert gap <= FEATURE_TOLERANCE * np.abs(expected).max()
    assert gap > 0  # two engines, not one


@pytest.mark.parametrize("size", [32, 96])
def test_openvino_gives_the_same_bits_whatever_the_batch_and_the_threads(size: int) -> None:
    program = convert(backbone(size))
    engine = OpenVinoEngine(program, threads=2)
    images = pixels(21, size)
    together = engine.predict(images)
    np.testing.assert_array_equal(np.concatenate([engine.predict(images[i : i + 1]) for i in range(21)]), together)
    np.testing.assert_array_equal(OpenVinoEngine(program, threads=1).predict(images), together)


def test_bfloat16_is_another_precision_and_float32_is_not_it() -> None:
    model = backbone(96)
    images = pixels(4, 96)
    exact = on_openvino(model).predict(images)
    try:
        rough = load_engine(model, "openvino", "bfloat16").predict(images)
    except SettingsError as error:
        pytest.skip(str(error))
    gap = np.abs(rough - exact).max() / np.abs(exact).max()
    assert 10 * FEATURE_TOLERANCE < gap < 0.1


def test_a_cpu_without_bfloat16_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    program = convert(backbone())
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32"])
    with pytest.raises(SettingsError, match="needs a CPU that computes in it"):
        OpenVinoEngine(program, 1, "bfloat16")


def test_auto_takes_openvino_on_a_cpu(model: keras.Model) -> None:
    engine = load_engine(model, "auto")
    assert (engine.name, engine.precision) == ("openvino", "float32")
    assert load_engine(model, "tensorflow").name == "tensorflow"
    assert load_engine(model, "openvino").name == "openvino"


def test_auto_says_once_why_it_does_without_openvino(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_once.cache_clear()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    with caplog.at_level(logging.INFO, "imgcls_ray"):
        engines = [load_engine(model, "auto") for _ in range(2)]
    assert [engine.name for engine in engines] == ["tensorflow"] * 2
    assert [record.getMessage() for record in caplog.records if "is not installed" in record.getMessage()] == [
        "TensorFlow is used: OpenVINO, which is faster on a CPU, is not installed (imgcls-ray[cpu])."
    ]
    for kind in ("openvino", "auto"):
        with pytest.raises(SettingsError, match=r"needs the package openvino, .* imgcls-ray\[cpu\]"):
            load_engine(model, kind, "float32" if kind == "openvino" else "bfloat16")  # type: ignore[arg-type]


def test_auto_takes_tensorflow_where_there_is_a_gpu(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [f"a {kind}"])
    assert load_engine(model, "auto").name == "tensorflow"
    assert load_engine(model, "openvino").name == "openvino"


@keras.saving.register_keras_serializable()
class Unknown(keras.layers.Layer):
    """What OpenVINO has no operation for."""

    def call(self, inputs: object) -> object:
        import tensorflow as tf

        return tf.stack([tf.math.bessel_i1e(tf.reduce_mean(inputs, (1, 2, 3)))], axis=1)  # type: ignore[arg-type]


def test_a_network_that_openvino_can_not_read_is_tensorflows(caplog: pytest.LogCaptureFixture) -> None:
    pixels_in = keras.Input((12, 12, 3))
    odd = keras.Model(pixels_in, Unknown()(pixels_in), name="odd")
    log_once.cache_clear()
    with caplog.at_level(logging.INFO, "imgcls_ray"):
        engine = load_engine(odd, "auto")
    assert engine.name == "tensorflow"
    assert engine.predict(pixels(3)).shape == (3, 1)
    assert "OpenVINO can't read the network 'odd'" in caplog.text
    with pytest.raises(ModelError, match="can't read the network 'odd'"):
        load_engine(odd, "openvino")


def test_an_engine_that_answers_otherwise_is_found_out(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = OpenVinoEngine.predict
    monkeypatch.setattr(OpenVinoEngine, "predict", lambda *words: right(*words) + 3e-5)
    log_once.cache_clear()
    with caplog.at_level(logging.INFO, "imgcls_ray"):
        assert load_engine(model, "auto").name == "tensorflow"
    assert "must answer as TensorFlow does" in caplog.text
    with pytest.raises(ModelError, match="must answer as TensorFlow does"):
        load_engine(model, "openvino")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_agreement_is_absolute_for_probabilities_and_relative_for_features(scale: float) -> None:
    probabilities = np.full((2, 4), 0.25, np.float32)
    features = np.array([[1, -2, 3, 4], [0, 0, 0, 1]], np.float32) * np.float32(scale)
    check_agreement(probabilities, probabilities + 0.9 * PROBABILITY_TOLERANCE, "x")
    check_agreement(features, features + 0.9 * FEATURE_TOLERANCE * 4 * scale, "x")
    for right, wrong in (
        (probabilities, probabilities + 1.2 * PROBABILITY_TOLERANCE),
        (features, features + 1.2 * FEATURE_TOLERANCE * 4 * scale),
        (features, np.full_like(features, np.nan)),
    ):
        with pytest.raises(ModelError, match="differs by"):
            check_agreement(right, wrong, "x")


def test_tensorflow_has_no_bfloat16(model: keras.Model) -> None:
    with pytest.raises(SettingsError, match="computes in float32; received bfloat16"):
        load_engine(model, "tensorflow", "bfloat16")


def test_conversion_sends_nothing_and_writes_nothing_into_the_home(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    telemetry = pytest.importorskip("openvino_telemetry")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("statistics or the network were used")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(telemetry.Telemetry, "init", refuse)
    monkeypatch.setattr(telemetry.Telemetry, "send_event", refuse)
    on_openvino(model).predict(pixels(2))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_neither_engine_is_loaded_before_it_is_used() -> None:
    code = """
import sys
from imgcls_ray.inference import base, choice, openvino, program
print(openvino.installed(), [name for name in ("openvino", "tensorflow", "keras") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"
    assert openvino_engine.installed() is (importlib.util.find_spec("openvino") is not None)
