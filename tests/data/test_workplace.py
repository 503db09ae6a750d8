import subprocess
import sys
import threading
from pathlib import Path

import pytest

from imgcls_ray.data.workplace import WORK, workplace
from imgcls_ray.errors import DataError, StorageError


def test_the_work_folder_is_gone_when_the_work_is_done(tmp_path: Path) -> None:
    with workplace(tmp_path / "deep" / "set") as work:
        assert work == tmp_path / "deep" / "set" / WORK
        (work / "block.u8").write_bytes(b"1")
    assert list((tmp_path / "deep" / "set").iterdir()) == []


def test_an_error_of_ours_leaves_nothing_of_this_run(tmp_path: Path) -> None:
    with pytest.raises(DataError), workplace(tmp_path / "deep" / "set"):
        raise DataError("bad data")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_ours_keeps_what_an_earlier_run_began(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workplace(tmp_path / "set") as work:
        (work / "block.u8").write_bytes(b"1")
        raise KeyboardInterrupt
    with pytest.raises(DataError), workplace(tmp_path / "set") as work:
        raise DataError("bad data")
    assert (tmp_path / "set" / WORK / "block.u8").exists()


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".train-00000.h5.0123abcd.tmp", ".hidden", "notes.tmp", ".x.0123abcd.tmp.txt"):
        (tmp_path / name).write_text("")
    with workplace(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", WORK, ".x.0123abcd.tmp.txt", "notes.tmp"]


def test_two_makers_of_one_set_take_turns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    order = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with workplace(tmp_path):
            inside.set()
            leave.wait(30)
            order.append("first")

    def second() -> None:
        with workplace(tmp_path):
            order.append("second")

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    one.start()
    inside.wait(30)
    two.start()
    two.join(1)
    assert two.is_alive()
    leave.set()
    one.join(30)
    two.join(30)
    assert order == ["first", "second"]
    assert "Another run is preparing" in caplog.text


def test_a_killed_maker_holds_no_lock(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from imgcls_ray.data.workplace import workplace
with workplace(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with workplace(tmp_path) as work:
        assert work.is_dir()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be written"), workplace(tmp_path / "file" / "set"):
        pass
