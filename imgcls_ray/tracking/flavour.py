"""The files beside a registered bundle that tell MLflow's own tools how to run it; see `pyfunc`."""

import base64
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from imgcls_ray import __version__
from imgcls_ray.bundle.files import GOLDEN, read_golden
from imgcls_ray.data.png import png_of

BUNDLE = "bundle"
"""The bundle's folder inside that of the model."""
EXAMPLE, SERVED_EXAMPLE = "input_example.json", "serving_input_example.json"
REQUIREMENTS, ENVIRONMENT = "requirements.txt", "python_env.yaml"


def write_flavour(folder: Path, bundle: Path, run: str) -> None:
    """Write `MLmodel`, an example and the requirements into `folder`, for the bundle that will lie in it.

    The signature: a column `image` of encoded pictures in; label, probability, decision, scores and error out. The
    example is the first golden picture. It is what `mlflow.pyfunc.save_model` would write, without loading the model.
    """
    from mlflow.models import Model
    from mlflow.version import VERSION

    from imgcls_ray.tracking import pyfunc

    picture = png_of(read_golden(bundle / GOLDEN)[0][0])
    example = {"columns": [pyfunc.IMAGE], "data": [[base64.b64encode(picture).decode()]]}
    (folder / EXAMPLE).write_text(json.dumps(example), encoding="utf-8")
    (folder / SERVED_EXAMPLE).write_text(json.dumps({"dataframe_split": example}), encoding="utf-8")
    needed = {"imgcls-ray": __version__, "mlflow": VERSION, **_engine()}
    (folder / REQUIREMENTS).write_text("".join(f"{name}=={number}\n" for name, number in needed.items()))
    environment = {"python": platform.python_version(), "dependencies": [f"-r {REQUIREMENTS}"]}
    (folder / ENVIRONMENT).write_text(yaml.safe_dump(environment))
    info = {
        "artifact_path": EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": SERVED_EXAMPLE,
    }
    model = Model(run_id=run, signature=_signature(), saved_input_example_info=info)
    # What `mlflow.pyfunc.add_to_model` does; to import that room costs seconds and prints warnings of its own.
    how = {"loader_module": pyfunc.__name__, "data": BUNDLE, "env": {"virtualenv": ENVIRONMENT}}
    model.add_flavor("python_function", python_version=platform.python_version(), **how)
    model.save(str(folder / "MLmodel"))


def _signature() -> object:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Map

    from imgcls_ray.tracking.pyfunc import COLUMNS, IMAGE

    kinds = (DataType.string, DataType.double, DataType.string, Map(DataType.double), DataType.string)
    outputs = [ColSpec(kind, name, required=False) for kind, name in zip(kinds, COLUMNS, strict=True)]
    return ModelSignature(Schema([ColSpec(DataType.binary, IMAGE)]), Schema(outputs))


def _engine() -> dict[str, str]:
    """The versions of what answers, as far as they are installed as packages."""
    found = {}
    for package in ("tensorflow", "keras"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
