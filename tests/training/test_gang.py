"""A gang trains as one worker would, trial after trial, and gives back what it took however it ends."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from ray.util import placement_group_table

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.embeddings.files import write_file
from imgcls_ray.embeddings.store import Embeddings, file_of
from imgcls_ray.errors import ClusterError, TrainingError
from imgcls_ray.models import NO_WEIGHTS
from imgcls_ray.training.gang import Gang
from imgcls_ray.training.job import TrialData, TrialJob
from imgcls_ray.training.mailbox import Answer, Command


def blobs(folder: Path) -> Embeddings:
    """Embeddings of nothing: three clouds of points."""
    shards = []
    for split, rows in (("train", 120), ("val", 31)):
        rng = np.random.default_rng(len(split))
        labels = rng.integers(0, 3, rows)
        points = rng.normal(0, 1, (rows, 8))
        points[np.arange(rows), labels] += 2
        entry = ShardEntry(f"{split}.h5", split, rows, 0, split)  # type: ignore[arg-type]
        keys = tuple(map(str, range(rows)))
        write_file(folder / file_of(entry, 0), points.astype(np.float32), labels, keys)
        shards.append(entry)
    labels_ = Labels.of(["a", "b", "c"])
    index = Index(labels_, PixelOps(8, 8, "color"), "hdf5", "", "blobs", tuple(shards), {}, "")
    return Embeddings(folder, index, "none", NO_WEIGHTS, 8, 0, 0, 0)


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> None:
    global DATA
    DATA = TrialData(Path("unused"), Size(8, 8), 3, 3, blobs(tmp_path_factory.mktemp("blobs")))


DATA: TrialData
SETTINGS = TrialSettings(head_layers=1, head_width=8, batch_size=16, epochs=3, optimizer="sgd", learning_rate=0.1)


@pytest.fixture(scope="module")
def gang(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gang]:
    gang = Gang(2, tmp_path_factory.mktemp("gangs"))
    yield gang
    gang.close()


def job(seed: int = 0, **settings: object) -> TrialJob:
    return TrialJob(SETTINGS.model_copy(update=settings), seed, DATA)


def arrays(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files)]


def assert_all_free(cpus: float = 2, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        held = [group for group in placement_group_table().values() if group["state"] != "REMOVED"]
        if ray.available_resources().get("CPU") == cpus and not held:
            return
        time.sleep(0.1)
    raise AssertionError(f"not all came back: {ray.available_resources()}, {held}")


def test_batch_norm_and_several_trials_keep_the_workers_together(gang: Gang) -> None:
    pids = set()
    for seed, width in enumerate((4, 6)):
        gang.start_trial(job(seed, head_width=width, batch_norm=True, dropout=0.2))
        pids.add(gang.pids)
        sums = [gang.train_epoch()["weights_checksum"] for _ in range(3)]
        assert len(set(sums)) == 3, "each epoch changes the weights"
        gang.end_trial()
    assert len(pids) == 1, "the same processes train all trials"
    assert len(set(pids.pop())) == 2


def test_workers_with_different_weights_are_an_error(gang: Gang, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = []
    answers = [Answer(rank, {"loss": 1.0, "weights_checksum": float(rank)}) for rank in range(2)]
    monkeypatch.setattr(gang, "_ask", lambda command: answers if command == Command("train_epoch") else [])
    monkeypatch.setattr(gang, "_give_up", lambda: given_up.append(True))
    with pytest.raises(TrainingError, match="same weights"):
        gang.train_epoch()
    assert given_up


def test_two_workers_train_like_one(gang: Gang, tmp_path: Path) -> None:
    from imgcls_ray.training.runner import Solo

    results = []
    for runner in (gang, Solo()):
        runner.start_trial(job(seed=3))
        metrics = [runner.train_epoch() for _ in range(2)][-1]
        path = tmp_path / f"{type(runner).__name__}.npz"
        runner.save_weights(path)
        results.append((metrics, arrays(path)))
    (together, weights), (alone, expected) = results
    assert together["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-4)
    assert together["val_accuracy"] == pytest.approx(alone["val_accuracy"])
    assert together["loss"] == pytest.approx(alone["loss"], rel=1e-4)
    assert together["val_f1_macro"] == pytest.approx(alone["val_f1_macro"])
    assert together["val_balanced_accuracy"] == pytest.approx(alone["val_balanced_accuracy"])
    assert together["val_balanced_accuracy"] != pytest.approx(alone["val_accuracy"], abs=1e-4), "the classes differ"
    for mine, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_a_trial_goes_on_from_its_checkpoint(gang: Gang, tmp_path: Path) -> None:
    gang.start_trial(job(seed=5))
    gang.train_epoch()
    gang.save(tmp_path / "state.npz")
    expected = gang.train_epoch()["weights_checksum"]
    gang.start_trial(job(seed=5))
    gang.load(tmp_path / "state.npz")
    assert gang.train_epoch()["weights_checksum"] == expected
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_a_killed_worker_is_reported_and_the_next_trial_has_new_ones(gang: Gang) -> None:
    gang.start_trial(job(epochs=1000))
    gang.train_epoch()
    old = gang.pids
    os.kill(old[1], signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"worker 1: its process died; the next trial starts new workers"):
        for _ in range(1000):
            gang.train_epoch()
    assert_all_free()
    gang.start_trial(job())
    assert gang.train_epoch()["loss"] > 0
    assert not set(old) & set(gang.pids)


def test_close_gives_everything_back(gang: Gang) -> None:
    gang.close()
    assert_all_free()
    assert not list(gang._storage.iterdir()), "nothing of Ray Train's notes stays"
    gang.close()


@ray.remote(num_cpus=0)
class Owner:
    def __init__(self, folder: Path) -> None:
        self.gang = Gang(2, folder)

    def start(self, what: TrialJob) -> tuple[int, ...]:
        self.gang.start_trial(what)
        return self.gang.pids

    def train(self, epochs: int) -> None:
        for _ in range(epochs):
            self.gang.train_epoch()


def test_a_killed_owner_leaves_nothing_behind(ray_local: None, tmp_path: Path) -> None:
    owner = Owner.remote(tmp_path)
    pids = ray.get(owner.start.remote(job(epochs=10_000)))
    owner.train.remote(10_000)
    time.sleep(1)
    ray.kill(owner)
    assert_all_free()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "the workers leave too"
        time.sleep(0.1)


def test_too_small_a_cluster_is_refused_with_the_arithmetic(ray_local: None, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"3 x 1 = 3 CPU.*have 2 CPU, room for 2"):
        Gang(3, tmp_path)
    with pytest.raises(ClusterError, match=r"2 x 1 = 2 GPU"):
        Gang(2, tmp_path, gpus_per_worker=1)


@ray.remote(num_cpus=1)
class Hog:
    def ready(self) -> None:
        pass


def test_a_busy_cluster_is_an_error_and_not_a_wait_for_ever(ray_local: None, tmp_path: Path) -> None:
    hog = Hog.remote()
    ray.get(hog.ready.remote())
    gang = Gang(2, tmp_path, start_timeout=2)
    with pytest.raises(ClusterError, match=r"2 x 1 = 2 CPU, free within 2 s"):
        gang.start_trial(job())
    ray.kill(hog)
    assert_all_free()
