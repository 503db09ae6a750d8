"""OpenVINO's intermediate representation."""

from pathlib import Path

from imgcls_ray.bundle.export.base import Exporter, Parts
from imgcls_ray.inference.base import Answering
from imgcls_ray.inference.openvino import OpenVinoEngine
from imgcls_ray.inference.program import Program

NETWORK, WEIGHTS = "model.xml", "model.bin"


class OpenVino(Exporter):
    """A folder with `model.xml` and `model.bin`, float32."""

    name = "openvino"
    title = "OpenVINO IR"
    takes = "pictures (n, height, width, channels) uint8"
    packages = ("openvino",)
    extra = "cpu"

    def write(self, parts: Parts, place: Path) -> None:
        """See Exporter."""
        from imgcls_ray.inference.conversion import convert

        program = convert(parts.network)
        place.mkdir()
        (place / NETWORK).write_bytes(program.network)
        (place / WEIGHTS).write_bytes(program.weights)

    def load(self, place: Path) -> Answering:
        """See Exporter."""
        import openvino

        network = openvino.Core().read_model(place / NETWORK)
        shapes = (
            tuple(port.partial_shape[axis].get_length() for axis in range(1, len(port.partial_shape)))
            for port in (network.input(0), network.output(0))
        )
        program = Program((place / NETWORK).read_bytes(), (place / WEIGHTS).read_bytes(), *shapes)
        return OpenVinoEngine(program, threads=1)
