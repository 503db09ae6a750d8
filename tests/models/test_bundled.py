"""A bundle as a backbone: what comes before its head, checked by content."""

import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.embeddings.job import EmbeddingJob
from imgcls_ray.errors import ModelError, SettingsError
from imgcls_ray.models import NO_WEIGHTS, find_backbone, resolve_weights
from imgcls_ray.models.bundled import MODEL
from imgcls_ray.models.features import build_features
from imgcls_ray.models.network import assemble, build_cnn, build_head
from imgcls_ray.models.tail import section, trainable_copy, trunk
from tests.conftest import assert_same

SIZE = Size(16, 24)
HEAD = TrialSettings(head_layers=1, head_width=8, batch_norm=True, dropout=0.2)


def put(folder: Path, model: keras.Model) -> str:
    """`model` where a bundle has its network; its name as a backbone."""
    folder.mkdir(parents=True)
    model.save(folder / MODEL)
    return f"bundle:{folder}"


def pictures(size: Size = SIZE, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, *size, channels)).astype(np.float32)


def features_of(name: str, size: Size = SIZE, channels: int = 3) -> keras.Model:
    return build_features(name, size, channels, resolve_weights(name))


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, keras.Model]:
    """A network from scratch with a head of three classes, as a backbone and as it was saved."""
    keras.utils.set_random_seed(3)
    model = build_cnn(HEAD.model_copy(update={"cnn_blocks": 3, "cnn_width": 4}), SIZE, 3, 3)
    return put(tmp_path_factory.mktemp("cnn") / "bundle", model), model


def test_it_takes_what_the_bundle_takes(cnn: tuple[str, keras.Model]) -> None:
    entry = find_backbone(cnn[0])
    assert (entry.native_size, entry.channels, entry.features, entry.min_size) == (SIZE, 3, 16, 8)
    entry.check_pictures(Size(8, 8), 3)
    with pytest.raises(SettingsError, match="takes color pictures, as it was trained on; received grayscale ones"):
        entry.check_pictures(SIZE, 1)


def test_the_head_is_dropped_and_all_else_stays_as_it_was(cnn: tuple[str, keras.Model]) -> None:
    name, model = cnn
    features = features_of(name)
    pooled = keras.Model(model.input, model.get_layer("pooled").output)
    np.testing.assert_array_equal(features(pictures(), training=True).numpy(), pooled(pictures()).numpy())
    assert not features.trainable_variables


def test_another_size_goes_through_the_same_layers(cnn: tuple[str, keras.Model]) -> None:
    name, model = cnn
    settings = HEAD.model_copy(update={"cnn_blocks": 3, "cnn_width": 4})
    larger = build_cnn(settings, Size(40, 32), 3, 3)
    larger.set_weights(model.get_weights())
    pooled = keras.Model(larger.input, larger.get_layer("pooled").output)
    x = pictures(Size(40, 32))
    np.testing.assert_array_equal(features_of(name, Size(40, 32))(x).numpy(), pooled(x).numpy())


def test_a_bundle_of_a_bundle_has_both_ends_right(cnn: tuple[str, keras.Model], tmp_path: Path) -> None:
    """The last layers were trained on from yesterday's: today's head is dropped, and yesterday's is not there again."""
    first = features_of(cnn[0])
    tail = trainable_copy(section(first, 2, 0))
    tail.set_weights([weight + 0.01 for weight in tail.get_weights()])
    for layer in tail.layers:
        if layer.weights:
            first.get_layer(layer.name).set_weights(layer.get_weights())
    again = features_of(put(tmp_path / "second", assemble(first, build_head(HEAD, 16, 5))))
    np.testing.assert_array_equal(again(pictures()).numpy(), first(pictures()).numpy())
    assert again.name == "cnn"
    maps = trunk(again, 2)(pictures())
    assert_same(section(again, 2, 0)(maps).numpy(), first(pictures()).numpy())


def test_a_backbone_of_keras_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Gray pictures and the scaling: all of it is in the network."""
    size = Size(32, 32)
    features = build_features("mobilenet_0.25", size, 1, NO_WEIGHTS)
    bundle = put(tmp_path / "bundle", assemble(features, build_head(HEAD, 256, 2)))
    entry = find_backbone(bundle)
    assert (entry.native_size, entry.channels, entry.min_size) == (size, 1, 32)
    found = features_of(bundle, size, 1)
    x = pictures(size, 1)
    np.testing.assert_array_equal(found(x).numpy(), features(x).numpy())
    assert_same(section(found, 4, 0)(trunk(found, 4)(x)).numpy(), features(x).numpy())


def test_dropout_inside_a_network_that_was_trained_whole_is_off(tmp_path: Path) -> None:
    """As in an EfficientNet from scratch."""
    inner = keras.Input((*SIZE, 3), name="pixels")
    vector = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.5)(inner))
    model = keras.Model(inner, keras.layers.Dense(2, activation="softmax", name="probabilities")(vector))
    found = features_of(put(tmp_path / "bundle", model))
    np.testing.assert_array_equal(found(pictures(), training=True), found(pictures(), training=False))


def test_another_size_is_normalised_as_the_old_one(tmp_path: Path) -> None:
    """Keras' layer computes with what it derived from its weights, as in each EfficientNet."""
    inner = keras.Input((*SIZE, 3), name="pixels")
    scaled = keras.layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[400.0, 900.0, 1600.0])(inner)
    vector = keras.layers.GlobalAveragePooling2D()(scaled)
    model = keras.Model(inner, keras.layers.Dense(2, activation="softmax", name="probabilities")(vector))
    larger = Size(40, 32)
    found = features_of(put(tmp_path / "bundle", model), larger)
    x = pictures(larger)
    expected = (x.mean((1, 2)) - [100, 110, 120]) / np.sqrt([400, 900, 1600])
    assert_same(found(x).numpy(), expected)


def test_pictures_of_which_nothing_would_be_left_are_refused(tmp_path: Path) -> None:
    settings = TrialSettings(cnn_blocks=5, cnn_width=4)
    name = put(tmp_path / "bundle", build_cnn(settings, Size(32, 32), 3, 2))
    with pytest.raises(SettingsError, match=r"at least 32 x 32 pixels; received 16 x 16"):
        features_of(name, Size(16, 16))


def test_the_place_is_not_in_the_digest_and_the_content_is(cnn: tuple[str, keras.Model], tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(cnn[0].removeprefix("bundle:"), moved)
    weights, again = resolve_weights(cnn[0]), resolve_weights(f"bundle:{moved}", ("none",))
    assert (again.kind, again.sha256) == ("bundle", weights.sha256)
    pixels = PixelOps(*SIZE, "color")
    keys = {
        EmbeddingJob(tmp_path / "set", "hdf5", pixels, name, content).key
        for name, content in ((cnn[0], weights), (f"bundle:{moved}", again))
    }
    assert len(keys) == 1, "what was embedded with it is found again"
    other = put(tmp_path / "other", build_cnn(TrialSettings(cnn_width=4), SIZE, 3, 3))
    shutil.copy(Path(other.removeprefix("bundle:")) / MODEL, moved / MODEL)
    assert resolve_weights(f"bundle:{moved}").sha256 != weights.sha256
    with pytest.raises(ModelError, match="was changed after it was verified"):
        build_features(f"bundle:{moved}", SIZE, 3, again)


def test_what_is_no_bundle_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="which does not exist"):
        find_backbone(f"bundle:{tmp_path / 'none'}")
    with pytest.raises(ModelError, match=r"there is no model\.keras"):
        resolve_weights(f"bundle:{tmp_path}")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / MODEL).write_bytes(b"no archive")
    with pytest.raises(ModelError, match="holds a network of ours"):
        find_backbone(f"bundle:{broken}")
    with zipfile.ZipFile(broken / MODEL, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [1]}}))
    with pytest.raises(ModelError, match="holds a network of ours"):
        find_backbone(f"bundle:{broken}")
