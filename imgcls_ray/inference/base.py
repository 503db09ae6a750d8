"""What an engine has to offer. Loads neither TensorFlow nor OpenVINO."""

from abc import ABC, abstractmethod
from typing import Literal, Protocol

import numpy as np

EngineName = Literal["tensorflow", "openvino"]
EngineChoice = Literal["auto", "tensorflow", "openvino"]
Precision = Literal["float32", "bfloat16"]

PROBABILITY_TOLERANCE = 1e-5
"""Largest difference of a probability between two engines in float32."""
FEATURE_TOLERANCE = 2e-5
"""Largest difference of a feature between two engines in float32, against the largest feature of the same pictures.

Fifteen families of backbones, pooled and cut, were measured to differ by up to 2.2e-6, the order of float32 sums over
a hundred layers; this is ten times as much. bfloat16 differs by 3e-3 to 2e-2, so an engine that computes in it unasked
is found out.
"""


class Answering(Protocol):
    """Whatever answers to pictures: an engine, a bundle, an export."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See Engine."""


class Engine(ABC):
    """Runs one model. Safe to call from several threads; never changes the model."""

    name: EngineName
    precision: Precision

    @abstractmethod
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Outputs (n, K) float32, or (n, ...) as the model has them, for pictures (n, H, W, C) uint8; n may be 0.

        The same picture gives the same row within 1e-6, alone or among others.

        Raises:
            ModelError: the pictures are not of the shape or type that the model takes.
        """

    @abstractmethod
    def warm_up(self) -> None:
        """Do now what the first `predict` would otherwise pay for, for each batch size."""
