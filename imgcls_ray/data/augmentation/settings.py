"""The settings of augmentation: how many copies, and what is done to them."""

from typing import Annotated, Literal

from pydantic import Field

from imgcls_ray.config.base import Settings
from imgcls_ray.config.size import SizeField

Probability = Annotated[float, Field(ge=0, le=1)]


class AugmentSettings(Settings):
    """Probabilities are shares of the copies that an operation is done to; 0 leaves it out."""

    per_class: int = Field(ge=1, le=1_000_000)
    """Training pictures that each class is brought to, its originals counted."""
    distort: Probability = 0
    flip_horizontal: Probability = 0.5
    flip_vertical: Probability = 0
    crop: Probability = 0.5
    rotate: Probability = 0.5
    erase: Probability = 0.5
    size: SizeField | None = None
    """Of the copies; by default that of the original, its longer side at most 4096 pixels."""
    format: Literal["jpeg", "png"] = "jpeg"
