"""Keras' own two files, `.keras` and `.h5`."""

from pathlib import Path

from imgcls_ray.bundle.export.base import Exporter, Parts
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import Answering
from imgcls_ray.inference.engine import TensorFlowEngine
from imgcls_ray.models.saved import load_network


class KerasFile(Exporter):
    """One file with the network and its weights, for Keras 3."""

    name = "keras"
    title = "Keras file"
    suffix = ".keras"
    takes = "pixels (n, height, width, channels) 0-255, uint8 or float32"

    def write(self, parts: Parts, place: Path) -> None:
        """See Exporter."""
        try:
            parts.network.save(place)
        except (ValueError, TypeError, NotImplementedError) as error:  # a layer that can't tell its settings
            raise ModelError(f"The network can't be written as a {self.suffix} file: {error}") from error

    def load(self, place: Path) -> Answering:
        """See Exporter."""
        try:
            return TensorFlowEngine(load_network(place))
        except (ValueError, TypeError, AttributeError) as error:  # Keras has no error of its own for it
            reason = str(error).strip().splitlines()[0][:300]
            raise ModelError(f"A {self.suffix} file can't hold this network: {reason}") from error


class Hdf5File(KerasFile):
    """The same in HDF5, for programs of the time of Keras 2."""

    name = "h5"
    title = "Keras file in HDF5"
    suffix = ".h5"
