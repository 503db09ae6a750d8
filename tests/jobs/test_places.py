"""A job names the places of its data and its results as every node sees them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray import api
from imgcls_ray.errors import SettingsError
from imgcls_ray.jobs.places import check_absolute

Step = Callable[[str, Path], object]
STEPS: dict[str, Step] = {
    "preprocess": api.preprocess,
    "split": api.split,
    "augment": lambda data, out: api.split_and_augment(data, out, api.AugmentSettings(per_class=2)),
}


@pytest.fixture(autouse=True)
def inside_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("data", "storage", "told"),
    [
        ("/data", None, "the storage must be named as an absolute path that every node sees; received none"),
        ("/data", "runs", "the storage must be named as an absolute path that every node sees; received 'runs'"),
        ("data", "/runs", "the data must be named as an absolute path that every node sees; received 'data'"),
    ],
)
def test_a_search_names_its_data_and_its_storage(data: str, storage: str | None, told: str) -> None:
    flags = {"data": data, "storage": storage}
    with pytest.raises(SettingsError, match=told):
        api.run(api.load_settings(api.RunSettings, flags=flags))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_a_step_names_its_data_and_where_it_writes(step: Step, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the output folder must be named as an absolute path .* received 'out'"):
        step("/data", Path("out"))
    with pytest.raises(SettingsError, match="the data must be named as an absolute path"):
        step("data", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["/data", "~/data", "s3://bucket/data", "file:///data", Path("/data")])
def test_a_place_that_every_node_can_see(given: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_absolute("data", given)
    with pytest.raises(SettingsError, match="received 'data': write it out"):
        check_absolute("data", "data")
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR")
    check_absolute("data", "data")
