"""Arrays on disk: the weights of a network, with or without the optimiser's state."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def save_variables(path: Path, variables: Sequence[Any], **extra: float) -> None:
    """Write Keras variables in their order, and named numbers, as one `.npz`: under a temporary name, then renamed."""
    arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(variables)}
    arrays |= {name: np.asarray(value) for name, value in extra.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_variables(path: Path, variables: Sequence[Any]) -> dict[str, float]:
    """Read what `save_variables` wrote into variables of the same order and shapes; returns the named numbers."""
    with np.load(path, allow_pickle=False) as arrays:
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"v{number}"])
        return {name: float(arrays[name]) for name in arrays.files if not name[1:].isdigit()}


def read_weights(file: BinaryIO) -> list[np.ndarray]:
    """The weights of a network, of what `save_variables` wrote of all its variables, as `set_weights` takes them.

    Variables count the states of random generators too, of which a network with another dropout has another number.
    """
    with np.load(file, allow_pickle=False) as arrays:
        ordered = [arrays[f"v{number}"] for number in range(len(arrays.files))]
    return [array for array in ordered if array.dtype.kind == "f"]
