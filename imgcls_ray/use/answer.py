"""What a model says of one picture, wherever it runs."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A picture's classes, most probable first, or why it has none."""

    image: str
    predictions: list[dict[str, Any]]
    """`label` and `probability` of each class."""
    error: str | None = None
    decision: str | None = None
    """`sure`, or `unsure` where the highest probability is below the bundle's threshold."""

    def to_json(self) -> dict[str, Any]:
        """`image`, `predictions` and `decision`, or `image` and `error`."""
        if self.error:
            return {"image": self.image, "error": self.error}
        return {"image": self.image, "predictions": self.predictions, "decision": self.decision}
