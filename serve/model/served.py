"""A model that answers: a loaded bundle and what its version is called; and the place that it answers in."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from imgcls_ray.bundle.bundle import Bundle
    from imgcls_ray.errors import ImageError, ImgclsError
    from serve.model.answer import Answer


@dataclass(frozen=True)
class Served:
    """Nothing of it changes: another version is another one. A request holds on to one from start to end."""

    bundle: "Bundle"
    version: str | None = None
    """In the registry."""

    @property
    def name(self) -> str:
        """That of the bundle's card."""
        return self.bundle.card.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of scores."""
        return self.bundle.labels.names

    @property
    def path(self) -> Path:
        """Where the bundle lies."""
        return self.bundle.path

    def answer(self, found: "np.ndarray | ImageError") -> "Answer | ImgclsError":
        """The answer that one picture's probabilities (K,) stand for, with features behind them; an error is itself."""
        from imgcls_ray.errors import ImageError
        from serve.model.answer import Answer

        if isinstance(found, ImageError):
            return found
        probabilities, features = found[: len(self.labels)], found[len(self.labels) :]
        return Answer(self.labels, probabilities, self.bundle.decision(probabilities), features)


ArmName = Literal["champion", "canary", "shadow"]


class Arm:
    """A place for a version. Which one is in it changes at any time, by setting `served`."""

    def __init__(self, name: ArmName, served: Served | None = None) -> None:
        self.name: ArmName = name
        self.served = served
