"""Which engine: what can be told without loading one."""

import logging
from functools import lru_cache

from imgcls_ray.errors import SettingsError
from imgcls_ray.inference.base import EngineChoice, Precision
from imgcls_ray.inference.openvino import installed


def check_choice(kind: EngineChoice, precision: Precision) -> None:
    """Refuse a pair that can't be.

    Raises:
        SettingsError: bfloat16 from TensorFlow.
    """
    if kind == "tensorflow" and precision != "float32":
        raise SettingsError(
            f"The engine 'tensorflow' computes in float32; received {precision}: choose the engine 'openvino'."
        )


def without_openvino(gpus: int) -> str:
    """Why `auto` does without OpenVINO whatever the model; empty where it does not."""
    if gpus:
        return f"TensorFlow is used: it sees {gpus} GPU(s)."
    if not installed():
        return "TensorFlow is used: OpenVINO, which is faster on a CPU, is not installed (imgcls-ray[cpu])."
    return ""


@lru_cache(64)
def log_once(reason: str) -> None:
    """Tell the log why an engine was chosen, each reason once in a process."""
    logging.getLogger(__name__).info(reason)
