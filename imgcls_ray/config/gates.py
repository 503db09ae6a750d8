"""What a model has to fulfil to take the place of the one that is served."""

from typing import Literal

from pydantic import Field

from imgcls_ray.config.base import Settings


class GateSettings(Settings):
    """The limits of the gates that a promotion goes through; see `tracking.gates`."""

    metric: Literal["accuracy", "balanced_accuracy", "f1_macro", "loss"] = "accuracy"
    """What is compared on the test pictures."""
    max_drop: float = Field(0.02, ge=0, le=1)
    """How far it may be worse than the champion's where chance could explain it; beyond chance it may not be at all."""
    max_slowdown: float = Field(1.5, gt=0)
    """Milliseconds per picture, as a multiple of the champion's."""
    max_ece: float = Field(0.05, ge=0, le=1)
    """Expected calibration error that is always good enough; above it, it may not be worse than the champion's."""
