from pathlib import Path

import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.checkpoint import Progress, TrialCheckpoint


def progress(epoch: int) -> Progress:
    return Progress(epoch, TrialSettings(batch_size=16), {"epoch": epoch, "loss": 0.5}, {"val_accuracy": 0.25}, 0.25)


def test_the_last_one_is_read_back_and_the_one_before_is_gone(tmp_path: Path) -> None:
    checkpoint, weights = TrialCheckpoint(tmp_path / "trial", 0), tmp_path / "weights.npz"
    save(weights, b"kept")
    assert checkpoint.read() is None
    for epoch in (1, 2):
        assert checkpoint.due
        checkpoint.write(progress(epoch), lambda path: save(path, b"arrays"), weights)
    found = TrialCheckpoint(tmp_path / "trial", 0).read()
    assert found is not None
    assert found[0] == progress(2)
    assert found[1].read_bytes() == b"arrays"
    assert {path.name for path in (tmp_path / "trial").glob("*.npz")} == {"epoch-2.npz", "kept-2.npz"}
    checkpoint.remove()
    assert checkpoint.read() is None


def save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_kill_while_it_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint, weights = TrialCheckpoint(tmp_path, 0), tmp_path / "weights"
    save(weights, b"kept")
    checkpoint.write(progress(1), lambda path: save(path, b"first"), weights)
    save(tmp_path / "epoch-2.npz", b"second, but the state still names the first")
    found = checkpoint.read()
    assert found is not None
    assert found[1].read_bytes() == b"first"


def test_short_trials_write_none(tmp_path: Path) -> None:
    assert not TrialCheckpoint(tmp_path, 60).due


@pytest.mark.parametrize("links", [True, False])
def test_the_weights_are_those_of_the_epoch_that_was_kept_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(*_: object) -> None:
        raise OSError("this file system has no links")

    if not links:
        monkeypatch.setattr("os.link", refused)
    checkpoint, weights = TrialCheckpoint(tmp_path / "trial", 0), tmp_path / "weights" / "trial-0.npz"
    save(weights, b"of epoch 1")
    checkpoint.write(progress(1), lambda path: save(path, b"arrays"), weights)
    save(tmp_path / "later", b"of epoch 2, which a kill lets be forgotten")
    (tmp_path / "later").replace(weights)
    checkpoint.restore(progress(1), weights)
    assert weights.read_bytes() == b"of epoch 1"
    assert [path.name for path in weights.parent.iterdir()] == ["trial-0.npz"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"epoch": 1}'])
def test_what_a_machine_that_went_away_left_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert TrialCheckpoint(tmp_path, 0).read() is None
