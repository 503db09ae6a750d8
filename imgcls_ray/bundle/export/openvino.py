"""OpenVINO's intermediate representation."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls_ray.bundle.export.base import Exporter, Parts
from imgcls_ray.inference.base import Answering
from imgcls_ray.inference.openvino import OpenVinoEngine
from imgcls_ray.inference.program import Program

if TYPE_CHECKING:
    from imgcls_ray.bundle.bundle import Bundle
    from imgcls_ray.bundle.export.pictures import Pictures

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

    def findings(self, place: Path, bundle: "Bundle", pictures: "Pictures") -> dict[str, Any]:  # noqa: ARG002
        """See Exporter. OpenVINO keeps no such setting in its files."""
        return {"compile_with": {"INFERENCE_PRECISION_HINT": "f32"}}

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
