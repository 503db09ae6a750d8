"""A network as OpenVINO runs it, in a form that travels: converted once, run anywhere without TensorFlow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A converted network: from pictures (n, *input_shape) uint8 to (n, *output_shape) float32."""

    network: bytes
    """OpenVINO's intermediate representation, XML; its batch is open."""
    weights: bytes
    """What goes with it, float32."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
