import errno
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from imgcls_ray import storage
from imgcls_ray.errors import SettingsError, StorageError, TrainingError
from imgcls_ray.storage import Storage, folder_name, writing


def test_opening_proves_that_it_can_be_written_and_leaves_nothing(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "a" / "b", f"file://{tmp_path}/c"):
        opened = Storage.open(str(root))
        assert opened.root.is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_nearly_full_disk_is_told_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 9, storage.LEAST_FREE - 1))
    with pytest.raises(StorageError, match=r"is full: 32 MB are free and a run needs at least 32"):
        Storage.open(str(tmp_path))


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "a b", "x" * 101])
def test_a_study_is_named_like_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="A study's name"):
        Storage(tmp_path).study(name)


def test_any_text_becomes_a_folder_name() -> None:
    assert folder_name("my [best] pictures") == "my-best-pictures"
    assert folder_name("???") == "data"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (OSError("Can't write data (file write failed: error message = 'No space left on device')"), "is full"),
        (RuntimeError("Traceback ...\nOSError: [Errno 28] No space left on device\n"), "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), r"can't be written \(permission denied\)"),
        (OSError("a long text\nlast line"), r"can't be written \(last line\)"),
    ],
)
def test_what_the_file_system_refuses_is_told_in_a_sentence(error: Exception, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught, writing(Path("runs")):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), ValueError("x"), TrainingError("y")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, writing(Path("runs")):
        raise error
    assert caught.value is error
