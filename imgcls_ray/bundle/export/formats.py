"""The formats by name. The classes load TensorFlow, so each is looked up when it is asked for."""

import importlib
from pathlib import Path
from typing import cast

from imgcls_ray.bundle.export.base import Exporter
from imgcls_ray.errors import SettingsError, ending

_ROOM = "imgcls_ray.bundle.export"
FORMATS = {
    "keras": ("stock", "KerasFile"),
    "h5": ("stock", "Hdf5File"),
    "saved_model": ("saved_model", "SavedModel"),
    "tflite": ("tflite", "TfLite"),
    "tflite_float16": ("tflite", "TfLiteFloat16"),
    "tflite_int8": ("tflite", "TfLiteInt8"),
    "onnx": ("onnx", "Onnx"),
    "openvino": ("openvino", "OpenVino"),
    "bundle_openvino": ("bundles", "OpenVinoBundle"),
    "bundle_bfloat16": ("bundles", "Bfloat16Bundle"),
}


def check_format(name: str) -> None:
    """Return when there is such a format.

    Raises:
        SettingsError: there is none.
    """
    if name not in FORMATS:
        raise SettingsError(
            f"An export's format is one of {', '.join(FORMATS)}; received '{name}'{ending(name, FORMATS)}"
        )


def exporter(name: str) -> Exporter:
    """The exporter of a format; TensorFlow is loaded.

    Raises:
        SettingsError: there is no such format.
    """
    check_format(name)
    module, kind = FORMATS[name]
    return cast(Exporter, getattr(importlib.import_module(f"{_ROOM}.{module}"), kind)())


def note_of(place: Path) -> Path:
    """The file beside an export that says what it is."""
    return place.with_name(f"{place.name}.json")
