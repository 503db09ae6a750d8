"""What an exporter has to offer. Loads no runtime."""

import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from imgcls_ray.errors import SettingsError
from imgcls_ray.inference.base import Answering

if TYPE_CHECKING:
    import keras

    from imgcls_ray.bundle.bundle import Bundle
    from imgcls_ray.bundle.export.pictures import Pictures

FLOAT32_TOLERANCE = 1e-5
"""Largest difference of a probability from the bundle's in float32: runtimes add the same products in another order."""
OTHER_RUNTIME = 1e-4
"""The same for runtimes that merge layers and order sums anew: up to 5.5e-5 was measured."""
WHOLE = 1.0
"""Share of pictures that get the same class, where a class may only change within the tolerance anyway."""


@dataclass(frozen=True)
class Parts:
    """What an export is made of."""

    network: "keras.Model"
    """Pixels (n, H, W, C) 0-255 in, calibrated probabilities (n, K) out."""
    bundle: "Bundle"
    fitting: np.ndarray
    """(n, H, W, C) uint8, n at least 1: what integers are chosen by, where the format has any."""


class Exporter(ABC):
    """Writes a network in one format and loads it again. The network's probabilities are calibrated already."""

    name: ClassVar[str]
    title: ClassVar[str]
    """For people."""
    suffix: ClassVar[str] = ""
    """What the name of the file ends with; empty where the export is a folder."""
    takes: ClassVar[str]
    """What goes in."""
    gives: ClassVar[str] = "probabilities (n, classes) float32, calibrated, in the order of the labels"
    tolerance: ClassVar[float] = FLOAT32_TOLERANCE
    """Largest difference of a probability from the bundle's."""
    agreement: ClassVar[float] = WHOLE
    """Smallest share of pictures whose most probable class is the bundle's."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Modules it needs beyond TensorFlow and Keras."""
    extra: ClassVar[str] = ""
    """The extra of imgcls-ray that brings them."""
    reads_files: ClassVar[bool] = False
    """Whether it decodes pictures itself."""
    fitted_to_pictures: ClassVar[bool] = False
    """Whether the numbers of its integers are chosen by what pictures make of the network."""

    def check(self, place: Path) -> None:
        """Refuse what can be told before anything is loaded.

        Raises:
            SettingsError: a package is missing, or the name of the file does not end as its readers expect.
        """
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise SettingsError(
                f"The format '{self.name}' needs {', '.join(missing)}, which is not installed here: install "
                f"imgcls-ray[{self.extra}] or choose another format."
            )
        if self.suffix and place.suffix != self.suffix:
            raise SettingsError(
                f"An export of the format '{self.name}' is a file whose name ends with {self.suffix}; received "
                f"'{place}'."
            )

    @abstractmethod
    def write(self, parts: Parts, place: Path) -> None:
        """Write the network to the new file or folder `place`.

        Raises:
            ModelError: the format can't hold this network.
        """

    @abstractmethod
    def load(self, place: Path) -> Answering:
        """What `write` wrote, as its own runtime reads it, on one CPU thread where that can be said."""

    def findings(self, place: Path, bundle: "Bundle", pictures: "Pictures") -> dict[str, Any]:  # noqa: ARG002
        """What else the note says of this export, by key; nothing by default.

        Raises:
            ModelError: what is found forbids the export.
        """
        return {}
