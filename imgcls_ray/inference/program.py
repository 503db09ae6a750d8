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
        # As text, so that it is read as UTF-8 whatever it says of itself: in another encoding OpenVINO reads another.
        elements = list(ElementTree.fromstring(program.network.decode()).iter())  # noqa: S314 - harmless without definitions
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ModelError(refused.format(f"no XML that can be read ({error})")) from error
    # OpenVINO knows no namespaces: to it, a layer in one is a layer like any other.
    if any("{" in name for element in elements for name in (element.tag, *element.keys())):
        raise ModelError(refused.format("names of another kind"))
    odd = sorted({str(element.get("type")) for element in elements if element.tag == "layer"} - LAYERS)
    if odd:
        raise ModelError(refused.format(f"the layer {odd[0][:80]!r}"))
