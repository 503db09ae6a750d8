import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import serve
from serve.settings import ServeSettings

CONFIG = Path(serve.__file__).with_name("config.yaml")


def test_the_config_file_is_one_that_serve_takes() -> None:
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text()))
    [application] = schema.applications
    assert application.import_path == "serve.deployment:build"
    assert schema.http_options.host == "127.0.0.1"


def test_the_config_file_builds_the_deployment_it_names() -> None:
    from ray.serve._private.build_app import build_app

    from serve.deployment import build

    [application] = yaml.safe_load(CONFIG.read_text())["applications"]
    built = build_app(build(ServeSettings(**application["args"])), name="imgcls")
    made = {deployment.name: deployment for deployment in built.deployments}
    assert set(made) == {deployment["name"] for deployment in application["deployments"]}
    assert made["Classifier"].ray_actor_options["num_cpus"] == application["args"]["cpus"]


def test_without_heat_maps_there_is_one_deployment() -> None:
    from ray.serve._private.build_app import build_app

    from serve.deployment import build

    built = build_app(build(ServeSettings(model="m", explain=False)), name="imgcls")
    assert [deployment.name for deployment in built.deployments] == ["Classifier"]


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_byte"):
        ServeSettings(model="m", max_byte=1)  # type: ignore[call-arg]


def test_importing_the_rooms_front_loads_neither_ray_nor_tensorflow() -> None:
    code = (
        "import serve, serve.settings, serve.web.app, serve.deployment, serve.run, imgcls_ray.cli.serve, sys;"
        "print([m for m in ('ray', 'tensorflow', 'keras', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
