"""The base of all typed settings: frozen, strict about names."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Unknown keys are errors; values can't be changed once made; use `model_copy(update=...)`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
