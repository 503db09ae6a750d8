"""The settings of a separated layout."""

from typing import Literal

from pydantic import Field

from imgcls_ray.config import PreprocessSettings, SourceSettings
from imgcls_ray.config.base import Settings

Way = Literal["copy", "link", "move"]
"""How a picture comes to its place: `link` is a hard link, or a symbolic one where the file system has none."""


class ArrangeSettings(Settings):
    """What decides which picture is for training, validation or test; each means what it means to preprocess."""

    source: SourceSettings = SourceSettings()
    test_fraction: float = Field(0.2, ge=0, lt=0.9)
    """Share kept for the test when the data has no test folder; 0 makes none."""
    val_fraction: float = Field(0.1, gt=0, lt=0.9)
    """Share of what is left that is kept for validation."""
    max_bad_fraction: float = Field(0.5, ge=0, le=1)
    """Share of unusable files above which nothing is done."""
    seed: int = Field(0, ge=0)

    def as_preprocess(self) -> PreprocessSettings:
        """The settings by which `preprocess` splits alike."""
        return PreprocessSettings(
            source=self.source,
            val_fraction=self.val_fraction,
            max_bad_fraction=self.max_bad_fraction,
            seed=self.seed,
        ).model_copy(update={"test_fraction": self.test_fraction})  # which is never 0 there
