"""A trial that trains a head, or the last layers of a backbone with it, on what is stored of the layers before."""

from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.config import PreprocessSettings, Size, TrialSettings
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import read_shard
from imgcls_ray.embeddings import Embeddings, embed
from imgcls_ray.models import resolve_weights
from imgcls_ray.training.job import TrialData, TrialJob
from imgcls_ray.training.network import load_backbone, whole_network
from imgcls_ray.training.predictions import predict
from imgcls_ray.training.runner import Solo
from imgcls_ray.training.warm import Warm
from tests.conftest import assert_same, ingested

NAME = "mobilenet_0.25"
SIZE = Size(32, 32)


@pytest.fixture(scope="module")
def prepared(ray_local: None, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Preprocessed:
    return ingested(pictures, tmp_path_factory.mktemp("sets"), PreprocessSettings(image_size=SIZE))


@pytest.fixture(scope="module")
def embeddings(prepared: Preprocessed, tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    folder = tmp_path_factory.mktemp("embeddings")
    # Keras' random kernels, unscaled by the statistics of batch normalisation, fade to nothing after some layers.
    backbone = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for layer in backbone.layers:
        for variable in layer.weights:
            if "kernel" in variable.name:
                fan_in = np.prod(variable.shape[:2]) * (1 if "_dw_" in layer.name else variable.shape[2])
                variable.assign(rng.normal(0, np.sqrt(6 / fan_in), variable.shape))
    file = folder / f"{NAME}_random.weights.h5"
    backbone.save_weights(file)
    weights = resolve_weights(NAME, (str(file),))
    return embed(prepared, NAME, weights, folder, unfrozen=4, views=1)


@pytest.mark.parametrize(("unfrozen", "views"), [(0, 0), (2, 1), (4, 1)])
def test_the_whole_network_answers_like_what_was_trained(
    prepared: Preprocessed, embeddings: Embeddings, unfrozen: int, views: int, tmp_path: Path
) -> None:
    settings = TrialSettings(
        backbone=NAME,
        unfrozen_layers=unfrozen,
        views=views,
        backbone_rate=1,
        head_layers=1,
        activation="tanh",
        epochs=2,
    )
    job = TrialJob(settings, 1, TrialData(prepared.path, SIZE, 3, 3, embeddings))
    runner = Solo()
    runner.start_trial(job)
    loop = runner.loop
    before = loop.weights()
    metrics = runner.train_epoch()
    changed = sum(
        not np.array_equal(one, other) for one, other in zip(before, loop.weights(), strict=True) if one.size > 1
    )
    assert changed >= 2 + unfrozen
    assert np.isfinite(metrics["val_loss"])

    stored, labels = embeddings.load("val")
    index = prepared.index
    images = np.concatenate([read_shard(prepared.path, entry, index.format).images for entry in index.of("val")])
    fresh = load_backbone(job)
    whole = whole_network(job, fresh, loop.model)
    answer = whole(images.astype(np.float32), training=False).numpy()
    feed = runner._warm.feed(job, "val")  # type: ignore[union-attr]
    chunk = next(iter(feed.chunks(None)))
    assert_same(answer, loop.model(chunk.samples, training=False).numpy())
    if unfrozen == embeddings.unfrozen:
        np.testing.assert_array_equal(chunk.samples.numpy(), stored)
    np.testing.assert_array_equal(chunk.labels.numpy(), labels)

    runner.save_weights(tmp_path / "kept.npz")
    again, truth = predict(job, tmp_path / "kept.npz", "val", Warm())
    assert_same(again, answer)
    np.testing.assert_array_equal(truth, labels)
    assert float((again.argmax(1) == truth).mean()) == pytest.approx(metrics["val_accuracy"])


def test_the_next_trial_starts_from_the_pretrained_layers_again(prepared: Preprocessed, embeddings: Embeddings) -> None:
    settings = TrialSettings(backbone=NAME, unfrozen_layers=4, epochs=1)
    job = TrialJob(settings, 1, TrialData(prepared.path, SIZE, 3, 3, embeddings))
    runner = Solo()
    starts = []
    for _ in range(2):
        runner.start_trial(job)
        starts.append(runner.loop.weights())
        runner.train_epoch()
    for one, other in zip(*starts, strict=True):
        np.testing.assert_array_equal(one, other)
