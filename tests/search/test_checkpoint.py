from pathlib import Path

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.checkpoint import Progress, TrialCheckpoint


def progress(epoch: int) -> Progress:
    return Progress(epoch, TrialSettings(batch_size=16), {"epoch": epoch, "loss": 0.5}, {"val_accuracy": 0.25}, 0.25)


def test_the_last_one_is_read_back_and_the_one_before_is_gone(tmp_path: Path) -> None:
    checkpoint = TrialCheckpoint(tmp_path / "trial", 0)
    assert checkpoint.read() is None
    for epoch in (1, 2):
        assert checkpoint.due
        checkpoint.write(progress(epoch), lambda path: save(path, b"arrays"))
    found = TrialCheckpoint(tmp_path / "trial", 0).read()
    assert found is not None
    assert found[0] == progress(2)
    assert found[1].read_bytes() == b"arrays"
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    checkpoint.remove()
    assert checkpoint.read() is None


def save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_kill_while_it_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint = TrialCheckpoint(tmp_path, 0)
    checkpoint.write(progress(1), lambda path: save(path, b"first"))
    save(tmp_path / "epoch-2.npz", b"second, but the state still names the first")
    found = checkpoint.read()
    assert found is not None
    assert found[1].read_bytes() == b"first"


def test_short_trials_write_none(tmp_path: Path) -> None:
    assert not TrialCheckpoint(tmp_path, 60).due
