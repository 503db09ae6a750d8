"""A network of ours as a backbone: what of a bundle's `model.keras` comes before its head. Needs no Keras to look at.

What is looked at here is not verified: `bundle.backbone.find_weights` is the way to weights that were.
"""

import hashlib
import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

from imgcls_ray.config import Size
from imgcls_ray.errors import ModelError
from imgcls_ray.models.backbones import Backbone, backbone

PREFIX = "bundle:"
"""What the name of a backbone begins with that is a bundle; its path follows."""
MODEL = "model.keras"
"""The network's file in a bundle."""
HEAD, OUTPUT = "head_", "probabilities"
"""How the names of a head's layers begin, and the name of the last one."""


def is_bundled(name: str) -> bool:
    """Whether the name of a backbone means a bundle."""
    return name.startswith(PREFIX)


def model_file(name: str) -> Path:
    """The file of the network of the backbone `bundle:PATH`, absolute.

    Raises:
        ModelError: there is none.
    """
    folder = Path(name.removeprefix(PREFIX)).expanduser().absolute()
    if not (folder / MODEL).is_file():
        what = "which does not exist" if not folder.exists() else f"where there is no {MODEL}"
        raise ModelError(
            f"A backbone {PREFIX}PATH names the folder of a bundle, as a run leaves it below bundles/; received "
            f"'{name}', {what}."
        )
    return folder / MODEL


def bundled(name: str, file: Path | None = None) -> Backbone:
    """The backbone `bundle:PATH`, as its network says what it takes and gives; `file` is that, where it is known.

    Raises:
        ModelError: there is no such bundle, or its network is none of ours.
    """
    file = file or model_file(name)
    try:
        with zipfile.ZipFile(file) as archive:
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
        _, height, width, channels = map(int, [0, *layers[0]["config"]["batch_shape"][1:]])
        first = next(number for number, layer in enumerate(layers) if is_head(layer["config"]["name"]))
        pooled = [layer for layer in layers[:first] if layer["class_name"] == "GlobalAveragePooling2D"]
        features = int(_input_shape(layers[first])[-1])
        _, rows, columns, _ = map(int, [0, *_input_shape(pooled[-1])[1:]])
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, LookupError, TypeError, StopIteration) as error:
        raise ModelError(
            f"A bundle that serves as a backbone holds a network of ours, with a head that can be dropped; '{file}' is "
            "none: give a bundle that a run has written."
        ) from error
    # Of pictures any smaller nothing would be left where it pools.
    least = max(8, math.ceil(height / rows), math.ceil(width / columns))
    return Backbone(name, Size(height, width), features, least, channels)


def find_backbone(name: str) -> Backbone:
    """The backbone `name`: an architecture of Keras, or a bundle.

    Raises:
        SettingsError: no such architecture; the message offers the nearest name.
        ModelError: as `bundled`.
    """
    return bundled(name) if is_bundled(name) else backbone(name)


def is_head(name: str) -> bool:
    """Whether a layer of this name belongs to the head, which comes last in a network of ours."""
    return name.startswith(HEAD) or name == OUTPUT


def check_file(path: Path, sha256: str) -> None:
    """Return when `path` is the file that was verified.

    Raises:
        ModelError: it is another one by now.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The network {path} of a bundle can't be read here ({error.strerror}).") from error
    if found != sha256:
        raise ModelError(f"The network {path} of a bundle was changed after it was verified; start again.")


def _input_shape(layer: dict[str, Any]) -> list[Any]:
    """Of the one tensor that a layer is called with; the batch comes first."""
    shape: list[Any] = layer["inbound_nodes"][0]["args"][0]["config"]["shape"]
    return shape
