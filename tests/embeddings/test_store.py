"""Embeddings: right, computed once, kept by content."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from imgcls_ray.config import Size
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import read_shard
from imgcls_ray.embeddings import Embeddings, cluster, embed
from imgcls_ray.embeddings.files import is_whole
from imgcls_ray.embeddings.job import EmbeddingJob
from imgcls_ray.embeddings.pool import Pool
from imgcls_ray.errors import ClusterError, SettingsError, StorageError, WeightsError
from imgcls_ray.inference.base import FEATURE_TOLERANCE
from imgcls_ray.models import NO_WEIGHTS, resolve_weights
from tests.conftest import assert_same
from tests.embeddings.made import grown, make_set, other_pixels

NAME = "mobilenet_0.25"
ROWS = 38


@pytest.fixture(scope="module")
def prepared(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Preprocessed:
    return make_set(tmp_path_factory.mktemp("set"))


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
    assert len(shards) == 4
    assert embeddings.computed == len(shards)
    assert embeddings.features == 256
    assert told[-1] == (ROWS, ROWS)
    assert len(told) == len(shards)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_features_and_labels_are_those_of_the_shards(
    prepared: Preprocessed, embedded: tuple[Embeddings, list[tuple[int, int]]], split: str
) -> None:
    from imgcls_ray.inference.engine import load_engine
    from imgcls_ray.models.features import build_features

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


def test_what_decides_the_numbers_decides_the_key(prepared: Preprocessed, tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    file.write_bytes(b"no weights")
    found = resolve_weights(NAME, (str(file),))
    first = EmbeddingJob.of(prepared, NAME, NO_WEIGHTS)
    others = [
        EmbeddingJob.of(prepared, "mobilenet_0.5", NO_WEIGHTS),
        EmbeddingJob.of(prepared, NAME, found),
        EmbeddingJob.of(other_pixels(prepared), NAME, NO_WEIGHTS),
        EmbeddingJob.of(prepared, NAME, NO_WEIGHTS, unfrozen=4),
        EmbeddingJob.of(prepared, NAME, NO_WEIGHTS, precision="bfloat16"),
    ]
    assert len({job.key for job in (first, *others)}) == 6
    assert EmbeddingJob.of(make_set(tmp_path / "elsewhere"), NAME, NO_WEIGHTS).key == first.key


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_both_engines_give_the_same_within_the_tolerance_and_share_their_files(
    prepared: Preprocessed, out: Path, embedded: tuple[Embeddings, list[tuple[int, int]]], tmp_path: Path, engine: str
) -> None:
    assert embedded[0].engine == "openvino"  # on a CPU, where it is installed
    made = embed(prepared, NAME, NO_WEIGHTS, tmp_path, engine=engine)  # type: ignore[arg-type]
    assert (made.engine, made.computed) == (engine, 4)
    expected = embedded[0].load("train")[0]
    gap = np.abs(made.load("train")[0] - expected).max()
    assert gap <= FEATURE_TOLERANCE * np.abs(expected).max()
    assert bool(gap == 0) is (engine == "openvino")
    again = embed(prepared, NAME, NO_WEIGHTS, out, engine=engine)  # type: ignore[arg-type]
    assert (again.computed, again.engine) == (0, None)


def test_bfloat16_has_its_own_place(
    prepared: Preprocessed, out: Path, embedded: tuple[Embeddings, list[tuple[int, int]]]
) -> None:
    with pytest.raises(SettingsError, match="computes in float32; received bfloat16"):
        embed(prepared, NAME, NO_WEIGHTS, out, engine="tensorflow", precision="bfloat16")
    try:
        rough = embed(prepared, NAME, NO_WEIGHTS, out, precision="bfloat16")
    except SettingsError as error:
        pytest.skip(str(error))
    assert (rough.computed, rough.engine, rough.precision) == (4, "openvino", "bfloat16")
    assert rough.folder != embedded[0].folder
    expected = embedded[0].load("train")[0]
    assert 1e-4 < np.abs(rough.load("train")[0] - expected).max() / np.abs(expected).max() < 0.2


def test_of_a_set_that_grew_only_the_new_shards_are_embedded(ray_local: None, tmp_path: Path) -> None:
    small = make_set(tmp_path / "set")
    before = embed(small, NAME, NO_WEIGHTS, tmp_path / "out", views=1)
    assert before.computed == 6
    files = {path: path.read_bytes() for path in before.folder.iterdir()}
    told: list[tuple[int, int]] = []
    after = embed(
        grown(small, 9), NAME, NO_WEIGHTS, tmp_path / "out", lambda done, total: told.append((done, total)), views=1
    )
    assert (after.computed, told[-1]) == (2, (18, 18))
    assert {path: path.read_bytes() for path in files} == files
    assert len(after.load("train", views=1)[1]) == 2 * (26 + 9)


def test_views_that_are_asked_for_later_are_added(ray_local: None, tmp_path: Path) -> None:
    found = make_set(tmp_path / "set")
    assert embed(found, NAME, NO_WEIGHTS, tmp_path / "out").computed == 4
    assert embed(found, NAME, NO_WEIGHTS, tmp_path / "out", views=2).computed == 4
    assert embed(found, NAME, NO_WEIGHTS, tmp_path / "out", views=1).computed == 0


def test_without_ray_it_is_ray_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError, match=r"Ray, which is not running in this process: call ray\.init\(\)"):
        embed(make_set(tmp_path / "set"), NAME, NO_WEIGHTS, tmp_path / "out")


def test_a_missing_openvino_is_told_when_it_was_asked_for(
    prepared: Preprocessed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcls_ray.inference.openvino.installed", lambda: False)
    monkeypatch.setattr("imgcls_ray.inference.choice.installed", lambda: False)
    with pytest.raises(SettingsError, match="needs the package openvino"):
        embed(prepared, NAME, NO_WEIGHTS, tmp_path / "out", engine="openvino")
    assert embed(prepared, NAME, NO_WEIGHTS, tmp_path / "out").engine == "tensorflow"


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
            rows, targets = table.column("rows").to_pylist(), table.column("target").to_pylist()
            return pa.table({"rows": [sum(rows)], "targets": [targets], "error": [""], "message": [""]})

    monkeypatch.setattr(cluster, "ShardEmbedder", Mortal)
    monkeypatch.setattr(cluster, "plan_pool", lambda *_: Pool(actors=1, cpus=1, gpus=0))
    told: list[tuple[int, int]] = []
    arguments = (prepared, NAME, NO_WEIGHTS, tmp_path / "out", lambda done, total: told.append((done, total)))
    if deaths == 3:
        with pytest.raises(ClusterError, match="died 3 times"):
            embed(*arguments)
    else:
        assert embed(*arguments).computed == len(prepared.index.shards)
        assert told[-1] == (ROWS, ROWS)
    assert len(list(graves.iterdir())) == deaths


def test_a_damaged_file_is_told_by_its_name_and_made_again_by_the_next_call(
    prepared: Preprocessed, out: Path, embedded: tuple[Embeddings, list[tuple[int, int]]]
) -> None:
    entry, path = embedded[0].parts("val")[0]
    whole = path.read_bytes()
    for broken in (whole[:100], whole[:-1], b"", whole[: len(whole) // 2] + bytes(50) + whole[len(whole) // 2 + 50 :]):
        path.write_bytes(broken)
        assert not is_whole(path, entry.rows)
        with pytest.raises(StorageError, match=path.name):
            embedded[0].load("val")
    assert embed(prepared, NAME, NO_WEIGHTS, out).computed == 1
    assert path.read_bytes() == whole  # the same pictures give the same bytes


def test_a_place_that_cant_be_written_is_told(prepared: Preprocessed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="can't be written"):
        embed(prepared, NAME, NO_WEIGHTS, tmp_path / "file")


def test_maps_and_views_lead_to_the_features(prepared: Preprocessed, tmp_path_factory: pytest.TempPathFactory) -> None:
    from imgcls_ray.models.features import build_features
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
