"""Picture size: height, then width, in pixels."""

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer


class Size(NamedTuple):
    """Height and width in pixels, in this order everywhere."""

    height: int
    width: int

    def __str__(self) -> str:
        return str(self.height) if self.height == self.width else f"{self.height}x{self.width}"


def parse_size(value: Any) -> Size:
    """Read `96`, `"96"`, `"120x160"` (height x width) or a pair of ints.

    Raises:
        ValueError: not such a size, or a side outside 8..4096.
    """
    if isinstance(value, Size):
        size = value
    else:
        parts = value.lower().split("x") if isinstance(value, str) else value
        parts = [parts] if isinstance(parts, int) else parts
        try:
            numbers = [int(part) for part in parts]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) not in (1, 2):
            raise ValueError(f"an image size is N or HxW (height x width) in pixels; received {value!r}")
        size = Size(numbers[0], numbers[-1])
    if not all(8 <= side <= 4096 for side in size):
        raise ValueError(f"each side of an image size is 8 to 4096 pixels; received {value!r}")
    return size


SizeField = Annotated[Size, BeforeValidator(parse_size), PlainSerializer(str, return_type=str)]
