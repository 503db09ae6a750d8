"""A job's processes keep a working folder whatever Ray does with theirs."""

from pathlib import Path

import pytest

from imgcls_ray import api
from imgcls_ray.errors import SettingsError
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


@pytest.mark.parametrize(
    ("data", "storage", "told"),
    [
        ("/data", None, "the storage must be named as an absolute path that every node sees; received none"),
        ("/data", "runs", "the storage must be named as an absolute path that every node sees; received 'runs'"),
        ("data", "/runs", "the data must be named as an absolute path that every node sees; received 'data'"),
    ],
)
def test_a_job_names_its_data_and_its_storage(
    data: str, storage: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    flags = {"data": data, "storage": storage}
    with pytest.raises(SettingsError, match=told):
        api.run(api.load_settings(api.RunSettings, flags=flags))
