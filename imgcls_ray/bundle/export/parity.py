"""The proof that an export answers as the bundle does."""

from dataclasses import dataclass

import numpy as np

from imgcls_ray.bundle.export.base import Exporter
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import Answering

BATCH = 32


@dataclass(frozen=True)
class Parity:
    """An export beside its bundle, on the same pictures."""

    pictures: int
    agreement: float
    """Share of pictures with the same most probable class."""
    largest: float
    """Largest difference of a probability."""
    mean: float
    """Mean difference of a probability."""


def compare(expected: np.ndarray, found: np.ndarray) -> Parity:
    """How far probabilities `found` (n, K) are from those `expected`; n is at least 1."""
    gaps = np.abs(found.astype(np.float64) - expected)
    # A class changes only where its rival was not within what the two differ by anyway in float32.
    rows = np.arange(len(expected))
    best = found.argmax(axis=1)
    same = (best == expected.argmax(axis=1)) | (expected.max(axis=1) - expected[rows, best] <= TIE)
    return Parity(len(expected), float(same.mean()), float(gaps.max()), float(gaps.mean()))


TIE = 2e-5
"""Two probabilities as near to each other as this have no order that another runtime must keep."""


def check(exporter: Exporter, expected: np.ndarray, found: np.ndarray) -> Parity:
    """Compare, and refuse an export that is beyond what its format may differ.

    Raises:
        ModelError: other shapes, a greater difference than `exporter.tolerance`, or the same class on less than the
            share `exporter.agreement` of the pictures.
    """
    if found.shape != expected.shape:
        raise ModelError(
            f"The export as {exporter.name} gives probabilities of the shape {found.shape} where the bundle gives "
            f"{expected.shape}; nothing was written."
        )
    parity = compare(expected, found)
    # Turned round, because a comparison with not-a-number is false.
    if not (parity.largest <= exporter.tolerance and parity.agreement >= exporter.agreement):
        raise ModelError(
            f"An export as {exporter.name} may differ from the bundle by {exporter.tolerance:g} and names the same "
            f"class on at least {exporter.agreement:.0%} of the pictures; on {parity.pictures} pictures it differs by "
            f"{parity.largest:.1e} and names the same class on {round(parity.agreement * parity.pictures)} of them: "
            "nothing was written; choose another format."
        )
    return parity


def answers(runner: Answering, images: np.ndarray) -> np.ndarray:
    """Probabilities (n, K) for pictures (n, H, W, C), in batches of at most 32."""
    return np.concatenate([runner.predict(images[at : at + BATCH]) for at in range(0, len(images), BATCH)])
