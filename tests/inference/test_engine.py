"""Engines: one conformance suite that each has to pass, and what is TensorFlow's own."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.engine import Engine, TensorFlowEngine, load_engine
from imgcls_ray.models import resolve_weights
from imgcls_ray.models.network import assemble, build_cnn, build_features, build_head

ENGINES: list[Callable[[keras.Model], Engine]] = [TensorFlowEngine]


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
