"""What answers for a bundle: chosen when it is loaded, by what is installed and what the machine has."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls_ray.bundle.card import Inference
from imgcls_ray.bundle.files import MODEL, PROGRAM, PROGRAM_WEIGHTS, REFERENCE
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import EngineChoice, EngineName
from imgcls_ray.inference.device import visible_gpus
from imgcls_ray.inference.openvino import OpenVinoEngine, installed
from imgcls_ray.inference.program import Program, check_program

if TYPE_CHECKING:
    import keras

    from imgcls_ray.inference.engine import Engine


@dataclass(frozen=True)
class Form:
    """What a bundle's network takes and gives."""

    shape: tuple[int, ...]
    """Of a picture (H, W, C)."""
    classes: int
    features: int
    """That stand behind the probabilities, for a bundle with reference statistics; else 0."""


def engine_of(path: Path, choice: Inference, wanted: EngineChoice) -> EngineName:
    """Which engine answers for the bundle at `path`, whose card says `choice`, where `wanted` is asked for.

    `auto` is OpenVINO where the card says so, or where the bundle holds the network as OpenVINO reads it, that is
    installed and there is no GPU; else TensorFlow. Loads neither.
    """
    if wanted != "auto":
        return wanted
    if choice.engine == "openvino":
        return "openvino"
    return "openvino" if (path / PROGRAM).is_file() and installed() and not visible_gpus() else "tensorflow"


def load(path: Path, form: Form, choice: Inference, wanted: EngineChoice, threads: int) -> "Engine":
    """The engine for the verified bundle at `path`, from pictures (n, H, W, C) to rows (n, classes + features).

    OpenVINO reads the network as it was converted when the bundle was written, without TensorFlow; where the bundle
    does not hold it, Keras loads the network and it is converted now.

    Raises:
        ModelError: a network can't be loaded, or has other shapes.
        SettingsError: OpenVINO is asked for and not installed, or the CPU has no bfloat16.
    """
    name = engine_of(path, choice, wanted)
    if name == "openvino" and (path / PROGRAM).is_file():
        files = (path / PROGRAM).read_bytes(), (path / PROGRAM_WEIGHTS).read_bytes()
        program = Program(*files, form.shape, (form.classes + form.features,))
        check_program(program)
        return OpenVinoEngine(program, threads, choice.precision)
    from imgcls_ray.inference.engine import load_engine

    precision = choice.precision if name == "openvino" else "float32"
    return load_engine(_network(path, form), name, precision, threads)


def write_program(folder: Path, model: "keras.Model") -> None:
    """Put `model` as OpenVINO reads it into the folder of a bundle, where that is installed and can read it."""
    from imgcls_ray.inference.choice import log_once
    from imgcls_ray.inference.conversion import convert

    if not installed():
        return
    try:
        program = convert(model)
        check_program(program)
    except ModelError as error:
        log_once(str(error))
        return
    (folder / PROGRAM).write_bytes(program.network)
    (folder / PROGRAM_WEIGHTS).write_bytes(program.weights)


def _network(path: Path, form: Form) -> "keras.Model":
    from imgcls_ray.models.pooled import with_features
    from imgcls_ray.models.saved import load_network

    try:
        model = load_network(path / MODEL)
        shapes = (model.input_shape, model.output_shape)
    except Exception as error:  # Keras raises whatever the odd configuration makes it raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"Keras can't load the model at {path}: {reason[:300]}") from error
    expected = ((None, *form.shape), (None, form.classes))
    if shapes != expected:
        raise ModelError(
            f"The model at {path} does not fit its pixels.json and labels.json: expected from {expected[0]} to "
            f"{expected[1]}, received from {shapes[0]} to {shapes[1]}."
        )
    if form.features:
        model = with_features(model)
        if model is None or model.output_shape[1] != form.classes + form.features:
            raise ModelError(f"{REFERENCE} of the bundle at {path} does not fit the features of its network.")
    return model
