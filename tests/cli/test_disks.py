"""A storage that can't be written, on file systems of their own, because root may write everywhere else."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_program import COMMAND, PLAIN

MOUNT = "mount -t tmpfs -o size=64k none {folder} && {then} && exec"


def in_mount(folder: Path, then: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the program where `folder` is a tmpfs of 64 kB that nobody else sees and that is gone afterwards."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare on this machine")
    shell = ["unshare", "-m", "sh", "-c", f'{MOUNT.format(folder=folder, then=then)} "$@"', "sh"]
    if subprocess.run([*shell, "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount file systems")
    return subprocess.run([*shell, *COMMAND, *words], capture_output=True, text=True, env=PLAIN, timeout=60)


@pytest.mark.parametrize(
    ("then", "inside", "words"),
    [
        ("mount -o remount,ro {folder}", "", "can't be written (read-only file system): choose a folder of yours"),
        ("mount -o remount,ro {folder}", "new/storage", "can't be written (read-only file system)"),
        ("head -c 60000 /dev/zero > {folder}/full", "", "is full: free some space or choose another place"),
        ("head -c 60000 /dev/zero > {folder}/full", "new", "is full: free some space"),
    ],
    ids=["read-only", "below read-only", "full", "below full"],
)
@pytest.mark.parametrize("verb", ["run", "demo"])
def test_the_disk_refuses(pictures: Path, tmp_path: Path, verb: str, then: str, inside: str, words: str) -> None:
    command = [verb, *([str(pictures), "--backbone", "cnn"] if verb == "run" else [])]
    done = in_mount(tmp_path, then.format(folder=tmp_path), [*command, "--storage", str(tmp_path / inside)])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("imgcls: The ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
