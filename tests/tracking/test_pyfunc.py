"""MLflow's own tools run a registered model: on encoded pictures, with the bundle's answers."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.data.png import png_of
from imgcls_ray.errors import ModelError
from imgcls_ray.tracking.pyfunc import PictureModel, _load_pyfunc
from imgcls_ray.tracking.versions import Versions
from tests.arena import Arena, fitted_model
from tests.conftest import picture

# MLflow's own, of its rooms for language models, when mlflow.pyfunc is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")


@pytest.fixture
def entered(storage: Path) -> tuple[Arena, Bundle]:
    arena = Arena(storage)
    return arena, arena.enter(fitted_model())


def files(count: int = 5) -> list[bytes]:
    return [png_of(picture(number % 3, number)) for number in range(count)]


def test_mlflow_loads_a_version_and_its_answers_are_the_bundles(entered: tuple[Arena, Bundle]) -> None:
    import mlflow

    arena, bundle = entered
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{arena.root}/mlflow.db")
    try:
        model = mlflow.pyfunc.load_model("models:/flowers/1")
        info = mlflow.models.get_model_info("models:/flowers@candidate")
    finally:
        mlflow.set_tracking_uri(before)
    answers = model.predict(pd.DataFrame({"image": [*files(), b"no picture"]}))
    expected = bundle.predict_bytes(files())
    for row, probabilities in zip(answers.to_dict("records"), expected, strict=False):
        assert isinstance(probabilities, np.ndarray)
        ranked = bundle.ranked(probabilities)
        assert (row["label"], row["probability"]) == (
            ranked[0]["label"],
            pytest.approx(ranked[0]["probability"], abs=1e-6),
        )
        assert row["scores"] == pytest.approx(dict(zip(bundle.labels.names, probabilities, strict=True)), abs=1e-6)
        assert row["decision"] == bundle.decision(probabilities)
    last = answers.to_dict("records")[-1]
    assert "not a picture" in last["error"]
    assert last["label"] is last["scores"] is None
    json.dumps(answers.to_dict("records"), allow_nan=False)  # what a server makes of it
    assert info.signature is not None
    assert info.signature.inputs.input_names() == ["image"]
    assert info.signature.outputs.input_names() == ["label", "probability", "decision", "scores", "error"]


def test_what_is_registered_holds_no_pickle_and_an_example(entered: tuple[Arena, Bundle]) -> None:
    arena, bundle = entered
    folder = Versions(arena.root).folder("flowers", 1).parent
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    beside = {"MLmodel", "input_example.json", "serving_input_example.json", "requirements.txt", "python_env.yaml"}
    assert names == beside | {f"bundle/{path.name}" for path in bundle.path.iterdir()}
    example = json.loads((folder / "serving_input_example.json").read_text())["dataframe_split"]
    (answer,) = _load_pyfunc(str(folder / "bundle")).predict(pd.DataFrame(**example)).to_dict("records")
    assert answer["label"] == "daisy"


def test_pictures_come_as_a_list_too_in_bytes_or_base64(entered: tuple[Arena, Bundle]) -> None:
    model = PictureModel(entered[1])
    as_bytes, as_text = model.predict(files(2)), model.predict([base64.encodebytes(one).decode() for one in files(2)])
    assert as_bytes.equals(as_text)


@pytest.mark.parametrize(
    ("given", "why"),
    [(pd.DataFrame({"picture": [b""]}), "a column 'image'"), (["no base64!"], "in base64"), ([1], "int")],
)
def test_what_is_no_picture_is_told(entered: tuple[Arena, Bundle], given: Any, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        PictureModel(entered[1]).predict(given)
