"""From a network's softmax to probabilities that mean what they say, and the courage to say "unsure"."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

RISK = 0.05
"""Share of wrong answers that is accepted where nobody says otherwise."""
TINY = 1e-37
"""What a probability of 0 counts as where its logarithm is asked for: nearly the smallest that float32 has."""


@dataclass(frozen=True)
class Calibration:
    """What is done to a network's softmax, and from which probability on its answer is given."""

    temperature: float = 1.0
    """The logits are divided by it: above 1 the network was too sure, below 1 too timid."""
    risk: float = RISK
    """Share of wrong answers among those that are given, on the pictures that the thresholds come from."""
    threshold: float = 0.0
    """Answers whose probability is below it are `unsure`; above 1 where no threshold keeps the risk. It is for the
    classes that are not in `class_thresholds`."""
    class_thresholds: dict[str, float] = field(default_factory=dict)
    """The same of classes that were answered often enough to have their own."""
    pictures: int = 0
    """Held-out pictures that all of this was fitted on; 0: it was not fitted."""

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Softmax outputs (n, K) -> (n, K) float32: softmax of the logits divided by the temperature.

        The order of the classes stays; at temperature 1 so do the probabilities, bit for bit.
        """
        if self.temperature == 1:
            return probabilities
        return tempered(logits(probabilities), self.temperature).astype(np.float32)

    def threshold_of(self, label: str) -> float:
        """The probability from which on an answer with this class is given."""
        return self.class_thresholds.get(label, self.threshold)

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Calibration":
        """Read what `to_json` made.

        Raises:
            ValueError: a key is missing or unknown, or a value can't be.
        """
        try:
            found = cls(**document)
            numbers = [found.temperature, found.risk, found.threshold, *found.class_thresholds.values()]
            legal = all(0 <= float(number) < float("inf") for number in numbers) and found.temperature > 0
        except (TypeError, ValueError, AttributeError):
            legal = False
        if not legal:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"a calibration has the keys {known} with numbers from 0 on; received {document}")
        return found


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits (n, K) float64 of softmax outputs (n, K), up to a constant for each row; 0 counts as 1e-37."""
    return np.log(np.maximum(probabilities.astype(np.float64), TINY))


def tempered(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax (n, K) of logits (n, K) divided by a temperature."""
    scaled = logits / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    return powers / powers.sum(axis=1, keepdims=True)
