"""What the model says of one picture, in the shapes that clients ask for."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class Answer:
    """Of one picture."""

    labels: tuple[str, ...]
    probabilities: np.ndarray
    """(K,) in the order of `labels`."""
    decision: Literal["sure", "unsure"]
    features: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    """(F,) that it was answered by, where the bundle has reference statistics."""

    @property
    def best(self) -> int:
        """Number of the class with the highest probability."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Its name."""
        return self.labels[self.best]

    def ranked(self, top: int | None = None) -> list[dict[str, Any]]:
        """`[{"label", "probability"}, ...]`, highest first; all classes, or the first `top`."""
        order = np.argsort(-self.probabilities, kind="stable")[:top]
        return [{"label": self.labels[n], "probability": float(self.probabilities[n])} for n in order]

    def scores(self) -> list[float]:
        """All probabilities in the order of `labels`."""
        return [float(value) for value in self.probabilities]
