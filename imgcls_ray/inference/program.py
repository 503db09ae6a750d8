"""A network as OpenVINO runs it, in a form that travels: converted once, run anywhere without TensorFlow."""

from dataclasses import dataclass
from xml.etree import ElementTree

from imgcls_ray.errors import ModelError

# What image classifiers are converted into: arithmetic only. No loops, no state, nothing from an extension.
LAYERS = frozenset(
    """Abs Add AvgPool Broadcast Clamp Concat Const Convert Convolution DepthToSpace Divide Elu Equal Erf Exp Floor
    Gather Gelu GroupConvolution HSigmoid HSwish HardSigmoid Interpolate LogSoftmax Log MVN MatMul MaxPool Maximum
    Minimum Mish Multiply Negative PRelu Pad Parameter Power ReLU ReduceMax ReduceMean ReduceProd ReduceSum Reshape
    Result Select Selu ShapeOf Sigmoid Slice SoftMax SoftPlus SoftSign Softmax SpaceToDepth Split Sqrt
    SquaredDifference Squeeze StridedSlice Subtract Swish Tanh Tile Transpose Unsqueeze VariadicSplit""".split()  # noqa: SIM905 - they read better so
)


@dataclass(frozen=True)
class Program:
    """A converted network: from pictures (n, *input_shape) uint8 to (n, *output_shape) float32."""

    network: bytes
    """OpenVINO's intermediate representation, XML; its batch is open."""
    weights: bytes
    """What goes with it, float32."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def check_program(program: Program) -> None:
    """Return when the network is made of what image classifiers are converted into. Runs nothing.

    Raises:
        ModelError: it holds anything else.
    """
    refused = "A network for OpenVINO is made of arithmetic alone; this one has {}: get it again."
    if b"<!" in program.network:  # a DOCTYPE could define entities that grow when they are read
        raise ModelError(refused.format("definitions of its own"))
    try:
        layers = ElementTree.fromstring(program.network).iter("layer")  # noqa: S314 - without definitions it is harmless
        odd = sorted({str(layer.get("type")) for layer in layers} - LAYERS)
    except ElementTree.ParseError as error:
        raise ModelError(refused.format(f"no XML that can be read ({error})")) from error
    if odd:
        raise ModelError(refused.format(f"the layer {odd[0][:80]!r}"))
