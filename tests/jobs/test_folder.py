"""A job's processes keep a working folder whatever Ray does with theirs."""

from pathlib import Path

import pytest

from imgcls_ray.jobs.folder import left


def test_a_folder_that_goes_away_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with left():
        folder.rmdir()
        assert Path.cwd().is_dir()
    assert Path.cwd() != folder


def test_one_that_stays_is_gone_back_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with left():
        assert Path.cwd() != tmp_path
    assert Path.cwd() == tmp_path
