"""The only decoder and resizer: preprocess, evaluation and serving all see a picture through `decode`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from imgcls_ray.data.header import (
    SIMPLEJPEG_ERRORS,
    Header,
    jpeg_orientation,
    open_pillow,
    orientation,
    quiet,
    read_header,
)
from imgcls_ray.errors import ImageError

__all__ = ["DECODER_VERSION", "Header", "PixelOps", "decode", "read_header"]

DECODER_VERSION = 1
"""Raised whenever `decode` would give other pixels for the same bytes; part of each fingerprint."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

# What libjpeg warns about that means lost pixels; its other warnings are about pictures that are whole.
_DAMAGE = ("premature end", "huffman", "resync")


@dataclass(frozen=True)
class PixelOps:
    """What is done to each picture's pixels: recorded with shards and bundles, so that all see the same."""

    height: int
    """In pixels."""
    width: int
    """In pixels."""
    colorspace: Literal["color", "grayscale"]
    """`color` is RGB; `grayscale` is ITU-R BT.601 luma."""
    resize: Literal["stretch"] = "stretch"
    """Both sides are brought to size on their own; the aspect ratio is not kept."""
    max_pixels: int = 178_956_970
    """Width x height above which a picture is refused before it is decoded."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.max_pixels < 1:
            raise ValueError(f"height, width and max_pixels are at least 1; received {self}")
        if self.colorspace not in ("color", "grayscale") or self.resize != "stretch":
            raise ValueError(f"colorspace is color or grayscale and resize is stretch; received {self}")

    @property
    def channels(self) -> int:
        """3 for colour, 1 for grayscale."""
        return 3 if self.colorspace == "color" else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (self.height, self.width, self.channels)

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "PixelOps":
        """Read what `to_json` made.

        Raises:
            ValueError: a key is missing or unknown, or a value is out of range.
        """
        try:
            return cls(**document)
        except TypeError:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(
                f"pixel operations have the keys {known} with ints and names; received {document}"
            ) from None


def decode(data: bytes, ops: PixelOps) -> Pixels:
    """The picture in `data` as uint8 (height, width, channels).

    JPEG, PNG, TIFF, GIF, WebP or BMP, told by its bytes; the first frame; EXIF orientation applied; transparency
    over white; 16 bits scaled to 8; shrunk by area averaging, enlarged bilinearly.

    Raises:
        ImageError: with one of the reasons `empty file`, `not a picture`, `truncated or damaged`,
            `too many pixels (WxH; max_pixels is N)`, `unsupported format X`.
    """
    header = read_header(data)
    if header.width * header.height > ops.max_pixels:
        size = f"{header.width}x{header.height}"
        raise ImageError(f"too many pixels ({size}; max_pixels is {ops.max_pixels})")
    if header.format == "JPEG":
        turn = jpeg_orientation(data)
        pixels = _decode_jpeg(data, header, ops, turn)
    else:
        pixels, turn = _decode_pillow(data, header.format, ops)
    height, width = _before_turn(ops, turn)
    return _turned(_resized(pixels, height, width), turn).reshape(ops.shape)


def _before_turn(ops: PixelOps, turn: int) -> tuple[int, int]:
    """The wanted (height, width) as the file holds it: orientations 5 to 8 swap the sides."""
    return (ops.width, ops.height) if turn >= 5 else (ops.height, ops.width)


def _decode_jpeg(data: bytes, header: Header, ops: PixelOps, turn: int) -> Pixels:
    """By libjpeg-turbo, at the smallest of 1, 1/2, 1/4, 1/8 that is not below the wanted size on either side.

    Scaling inside the DCT skips most of the work for large photographs; only these factors have fast paths.
    """
    height, width = _before_turn(ops, turn)
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or (header.height >= height * f and header.width >= width * f))
    try:
        pixels = simplejpeg.decode_jpeg(
            data,
            colorspace="RGB" if ops.channels == 3 else "GRAY",
            # Naming the exact size keeps the library from choosing a factor such as 5/8.
            min_height=-(-header.height // factor),
            min_width=-(-header.width // factor),
            min_factor=factor,
        )
        return cast(Pixels, pixels)
    except SIMPLEJPEG_ERRORS as error:
        if any(word in str(error).lower() for word in _DAMAGE):
            raise ImageError("truncated or damaged") from error
    return _decode_pillow(data, "JPEG", ops)[0]  # CMYK and other kinds that libjpeg-turbo's short API refuses


def _decode_pillow(data: bytes, name: str, ops: PixelOps) -> tuple[Pixels, int]:
    """Pixels (h, w, 3) or (h, w) at full size, and the EXIF orientation, by Pillow."""
    mode = "RGB" if ops.channels == 3 else "L"
    with quiet(data, name):
        image = open_pillow(data, name)
        image.load()
        # Pillow turns a TIFF upright itself while it loads, and no other format.
        turn = 1 if name == "TIFF" else orientation(image.info.get("exif") or b"")
        if image.mode in ("F", "I") and name == "TIFF":
            raise ImageError("unsupported format TIFF with 32-bit pixels")  # nothing says which values are black, white
        if image.mode.startswith("I"):
            image = _from_16_bits(image)
        elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            image = _over_white(image)
        return np.asarray(image if image.mode == mode else image.convert(mode)), turn


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    return Image.fromarray(np.clip(values / 257 + 0.5, 0, 255).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """To (height, width): each side that shrinks by area averaging, then each that grows bilinearly."""
    old_height, old_width = pixels.shape[:2]
    for size, method in (
        ((min(height, old_height), min(width, old_width)), cv2.INTER_AREA),
        ((height, width), cv2.INTER_LINEAR),
    ):
        if pixels.shape[:2] != size:
            pixels = cast(Pixels, cv2.resize(pixels, (size[1], size[0]), interpolation=method))  # OpenCV: width first
    return pixels


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """Upright pixels from those of EXIF orientation `turn`."""
    if turn >= 5:
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
