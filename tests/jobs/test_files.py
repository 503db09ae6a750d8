"""What travels to a cluster, and the file that starts one, by Ray's own rules."""

import json
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray._private.runtime_env.packaging import create_package
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config() -> Any:
    return yaml.safe_load((ROOT / "cluster" / "ray.yaml").read_text())


def test_the_cluster_file_keeps_rays_schema(config: Any) -> None:
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(config, json.loads(schema.read_text()))
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["available_node_types"]["local.cluster.node"]["max_workers"] == 2


def test_its_nodes_ask_for_the_token_and_have_it(config: Any) -> None:
    assert ("~/.ray/auth_token", "~/.ray/auth_token") in config["file_mounts"].items()
    starts = [line for group in ("head", "worker") for line in config[f"{group}_start_ray_commands"] if "start" in line]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in line for line in starts)


def test_a_clone_makes_a_small_package(tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    create_package(str(ROOT), package, include_gitignore=True, excludes=[".git", ".venv", "venv", "__pycache__"])
    with zipfile.ZipFile(package) as files:
        names = files.namelist()
        size = sum(entry.file_size for entry in files.infolist())
    tops = {name.partition("/")[0] for name in names}
    assert {"imgcls_ray", "serve", "search_spaces", "pyproject.toml"} <= tops
    assert not tops & {".git", ".venv", "imgcls-runs", "build", ".mypy_cache", ".pytest_cache"}
    assert size < 5_000_000
