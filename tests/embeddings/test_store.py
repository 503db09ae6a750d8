"""Embeddings: right, computed once, kept by content."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from imgcls_ray.config import PreprocessSettings, Size
from imgcls_ray.data.preprocess import Preprocessed, preprocess
from imgcls_ray.data.shards import read_shard
from imgcls_ray.embeddings import Embeddings, compute, embed
from imgcls_ray.embeddings.compute import _key
from imgcls_ray.embeddings.pool import Pool
from imgcls_ray.errors import ClusterError, SettingsError, StorageError, WeightsError
from imgcls_ray.models import NO_WEIGHTS, resolve_weights
from tests.conftest import assert_same

NAME = "mobilenet_0.25"
SETTINGS = PreprocessSettings(image_size=Size(32, 40), shard_mb=0.05)


@pytest.fixture(scope="module")
def prepared(ray_local: None, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Preprocessed:
    return preprocess(str(pictures), tmp_path_factory.mktemp("shards"), SETTINGS)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embeddings")


@pytest.fixture(scope="module")
def embedded(prepared: Preprocessed, out: Path) -> tuple[Embeddings, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return embed(prepared, NAME, NO_WEIGHTS, out, lambda done, total: told.append((done, total))), told


def test_each_shard_is_embedded_once_and_told(
    prepared: Preprocessed, embedded: tuple[Embeddings, list[tuple[int, int]]]
) -> None:
    embeddings, told = embedded
    shards = prepared.index.shards
    assert len(shards) > 3
    assert embeddings.computed == len(shards)
    assert embeddings.features == 256
    assert told[-1] == (60, 60)
    assert len(told) == len(shards)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_features_and_labels_are_those_of_the_shards(
    prepared: Preprocessed, embedded: tuple[Embeddings, list[tuple[int, int]]], split: str
) -> None:
    from imgcls_ray.inference.engine import load_engine
    from imgcls_ray.models.network import build_features

    features, labels = embedded[0].load(split)  # type: ignore[arg-type]
    index = prepared.index
    shards = [read_shard(prepared.path, entry, index.format) for entry in index.of(split)]  # type: ignore[arg-type]
    assert features.dtype == np.float32
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, np.concatenate([shard.labels for shard in shards]))
    engine = load_engine(build_features(NAME, Size(32, 40), 3, NO_WEIGHTS))
    expected = engine.predict(np.concatenate([shard.images for shard in shards]))
    assert_same(features, expected)
    assert len(embedded[0].parts(split)) == len(shards)  # type: ignore[arg-type]


def test_a_second_call_computes_nothing_and_a_third_only_what_is_missing(
    prepared: Preprocessed, out: Path, embedded: tuple[Embeddings, list[tuple[int, int]]]
) -> None:
    first, _ = embedded
    times = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = embed(prepared, NAME, NO_WEIGHTS, out)
    assert again.computed == 0
    before = first.load("test")
    lost = first.parts("test")[0][1]
    lost.unlink()
    told: list[tuple[int, int]] = []
    third = embed(prepared, NAME, NO_WEIGHTS, out, lambda done, total: told.append((done, total)))
    assert third.computed == 1
    assert told == [(prepared.index.of("test")[0].rows,) * 2]
    np.testing.assert_array_equal(third.load("test")[0], before[0])
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path != lost)
    assert sorted(path.suffix for path in first.folder.iterdir()) == [".npz"] * len(times)


def test_other_weights_backbones_and_pixels_have_their_own_place(prepared: Preprocessed, tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    file.write_bytes(b"no weights")
    other = replace(prepared.index, pixels=replace(prepared.index.pixels, colorspace="grayscale"))
    keys = {
        _key(name, weights, index, 0)
        for name in (NAME, "mobilenet_0.5")
        for weights in (NO_WEIGHTS, resolve_weights(NAME, (str(file),)))
        for index in (prepared.index, other)
    }
    assert len(keys) == 8
    assert keys == {
        _key(name, weights, replace(index, name="the same pictures elsewhere"), 0)
        for name in (NAME, "mobilenet_0.5")
        for weights in (NO_WEIGHTS, resolve_weights(NAME, (str(file),)))
        for index in (prepared.index, other)
    }


def test_weights_that_do_not_fit_are_told_by_the_driver(prepared: Preprocessed, tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    file.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=rf"{file}' is damaged or does not fit the backbone '{NAME}'"):
        embed(prepared, NAME, resolve_weights(NAME, (str(file),)), tmp_path / "out")
    assert list((tmp_path / "out").glob("*/*")) == []


def test_pictures_too_small_for_the_backbone_are_refused_as_settings(prepared: Preprocessed, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least 71 x 71 pixels; received 32 x 40"):
        embed(prepared, "xception", NO_WEIGHTS, tmp_path)
    with pytest.raises(SettingsError, match="did you mean 'xception'"):
        embed(prepared, "xeption", NO_WEIGHTS, tmp_path)


@pytest.mark.parametrize("deaths", [1, 3])
def test_workers_that_die_are_replaced_but_not_for_ever(
    prepared: Preprocessed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    graves = tmp_path / "graves"
    graves.mkdir()

    class Mortal:  # in here, so that Ray sends the class itself to its workers
        def __init__(self, *_: object) -> None:
            self.die = len(list(graves.iterdir())) < deaths

        def __call__(self, table: pa.Table) -> pa.Table:
            if self.die:
                (graves / str(os.getpid())).touch()
                os._exit(1)
            for task in table.to_pylist():
                Path(task["target"]).write_bytes(b"features")
            return pa.table({"rows": [sum(table.column("rows").to_pylist())], "error": [""], "message": [""]})

    monkeypatch.setattr(compute, "ShardEmbedder", Mortal)
    monkeypatch.setattr(compute, "plan_pool", lambda *_: Pool(actors=1, cpus=1, gpus=0))
    told: list[tuple[int, int]] = []
    arguments = (prepared, NAME, NO_WEIGHTS, tmp_path / "out", lambda done, total: told.append((done, total)))
    if deaths == 3:
        with pytest.raises(ClusterError, match="died 3 times"):
            embed(*arguments)
    else:
        assert embed(*arguments).computed == len(prepared.index.shards)
        assert told[-1] == (60, 60)
    assert len(list(graves.iterdir())) == deaths


def test_a_damaged_file_is_told_by_its_name(
    prepared: Preprocessed, out: Path, embedded: tuple[Embeddings, list[tuple[int, int]]]
) -> None:
    path = embedded[0].parts("val")[0][1]
    whole = path.read_bytes()
    try:
        for broken in (whole[:100], whole[: len(whole) // 2] + bytes(50) + whole[len(whole) // 2 + 50 :]):
            path.write_bytes(broken)
            with pytest.raises(StorageError, match=path.name):
                embedded[0].load("val")
    finally:
        path.write_bytes(whole)


def test_a_place_that_cant_be_written_is_told(prepared: Preprocessed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="can't be written"):
        embed(prepared, NAME, NO_WEIGHTS, tmp_path / "file")


def test_maps_and_views_lead_to_the_features(prepared: Preprocessed, tmp_path_factory: pytest.TempPathFactory) -> None:
    from imgcls_ray.models.network import build_features
    from imgcls_ray.models.tail import section

    out = tmp_path_factory.mktemp("maps")
    plain = embed(prepared, NAME, NO_WEIGHTS, out)
    maps = embed(prepared, NAME, NO_WEIGHTS, out, unfrozen=4, views=1)
    assert maps.computed == len(prepared.index.shards) + len(prepared.index.of("train"))
    stored, labels = maps.load("train", views=1)
    rows = prepared.index.rows("train")
    assert (len(stored), stored.ndim) == (2 * rows, 4)
    np.testing.assert_array_equal(labels[:rows], labels[rows:])
    backbone = build_features(NAME, Size(32, 40), 3, NO_WEIGHTS)
    features = section(backbone, 4, 0)(stored).numpy()
    assert_same(features[:rows], plain.load("train")[0])
    assert np.abs(features[rows:] - features[:rows]).max() > 0.01 * np.abs(features).max()
    assert embed(prepared, NAME, NO_WEIGHTS, out, unfrozen=4, views=1).computed == 0
    assert len(maps.load("val", views=1)[0]) == prepared.index.rows("val")
