"""The only decoder: preprocess, evaluation and serving all see a picture through `decode`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from imgcls_ray.data.containers import LARGE, damaged
from imgcls_ray.data.header import Header, Looked, check, look, open_pillow, orientation, quiet, read_header
from imgcls_ray.data.jpeg import JpegHead, without_extras
from imgcls_ray.data.resize import Pixels, resized, upright
from imgcls_ray.errors import ImageError

__all__ = ["DECODER_VERSION", "Header", "PixelOps", "Pixels", "decode", "fitted", "open_picture", "read_header"]

DECODER_VERSION = 2
"""Raised whenever `decode` would give other pixels for the same bytes; part of each fingerprint."""

# What simplejpeg raises: ValueError by its documentation, KeyError on headers it has no names for.
_SIMPLEJPEG_ERRORS = (ValueError, LookupError, RuntimeError)

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
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """`stretch`: both sides are brought to size on their own, the aspect ratio is not kept. `crop`: the picture covers
    the size, and the middle is cut out. `pad`: all of the picture, in the middle, on black."""
    max_pixels: int = 178_956_970
    """Width x height above which a picture is refused before it is decoded."""

    def __post_init__(self) -> None:
        if not all(type(number) is int for number in (self.height, self.width, self.max_pixels)):
            raise ValueError(f"height, width and max_pixels are whole numbers; received {self}")
        if self.height < 1 or self.width < 1 or self.max_pixels < 1:
            raise ValueError(f"height, width and max_pixels are at least 1; received {self}")
        if self.colorspace not in ("color", "grayscale") or self.resize not in ("stretch", "crop", "pad"):
            raise ValueError(f"colorspace is color or grayscale and resize is stretch, crop or pad; received {self}")

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
    """The picture in `data` as uint8 (height, width, channels): `fitted(open_picture(data, ops), ops)`.

    Raises:
        ImageError: as `open_picture`.
    """
    return fitted(open_picture(data, ops), ops)


def open_picture(data: bytes, ops: PixelOps, looked: Looked | None = None) -> Pixels:
    """The upright picture in `data` as uint8 (h, w, channels), as large as it is or, for `ops` large enough, smaller.

    JPEG, PNG, TIFF, GIF, WebP or BMP, told by its bytes; the first frame; EXIF orientation applied; transparency
    over white; 16 bits scaled to 8. A JPEG, and any picture of more than 4 megapixels, is made smaller by 2, 4 or 8
    where `fitted` still has to shrink what is left, or nothing is left to do. `looked` is what `header.look` told of
    `data`, where the caller has asked it.

    Raises:
        ImageError: with one of the reasons `empty file`, `not a picture`, `truncated or damaged`,
            `too many pixels (WxH; max_pixels is N)`, `unsupported format X`.
    """
    header, details = looked or look(data)
    if header.width * header.height > ops.max_pixels:
        size = f"{header.width}x{header.height}"
        raise ImageError(f"too many pixels ({size}; max_pixels is {ops.max_pixels})")
    check(data, details)
    turn = orientation(details.exif)
    if isinstance(details, JpegHead):
        pixels = _decode_jpeg(data, details, ops, _factor(header, ops, turn))
    else:
        pixels, turn = _decode_pillow(details.pixels, header, ops, turn)
    pixels = upright(pixels, turn)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def fitted(pixels: Pixels, ops: PixelOps) -> Pixels:
    """What `open_picture` gave, brought to `ops.shape` in the way that `ops.resize` names."""
    height, width = pixels.shape[:2]
    if ops.resize == "crop":
        # As many rows or columns as have the wanted proportions: cutting first leaves less to resize.
        rows = min(height, max(1, round(width * ops.height / ops.width)))
        columns = min(width, max(1, round(height * ops.width / ops.height)))
        top, left = (height - rows) // 2, (width - columns) // 2
        pixels = pixels[top : top + rows, left : left + columns]
    if ops.resize != "pad":
        return resized(pixels, ops.height, ops.width).reshape(ops.shape)
    scale = min(ops.height / height, ops.width / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    if (rows, columns) == (ops.height, ops.width):
        return resized(pixels, rows, columns).reshape(ops.shape)
    page = np.zeros(ops.shape, np.uint8)
    top, left = (ops.height - rows) // 2, (ops.width - columns) // 2
    inner = resized(pixels, rows, columns).reshape(rows, columns, ops.channels)
    page[top : top + rows, left : left + columns] = inner
    return page


def _factor(header: Header, ops: PixelOps, turn: int = 1) -> int:
    """The largest of 1, 2, 4, 8 by which the stored picture can shrink and is not smaller than `ops` needs."""
    # Orientations 5 to 8 swap the sides.
    height, width = (ops.width, ops.height) if turn >= 5 else (ops.height, ops.width)
    ratios = (header.height / height, header.width / width)
    ratio = max(ratios) if ops.resize == "pad" else min(ratios)
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or factor <= ratio)


def _decode_jpeg(data: bytes, head: JpegHead, ops: PixelOps, factor: int) -> Pixels:
    """By libjpeg-turbo, made smaller by `factor` inside the DCT: most of the work for a large photograph is skipped.

    Only the factors 1, 2, 4 and 8 have fast paths.
    """
    height, width = -(-head.height // factor), -(-head.width // factor)
    try:
        pixels = simplejpeg.decode_jpeg(
            data,
            colorspace="RGB" if ops.channels == 3 else "GRAY",
            # Naming the exact size keeps the library from choosing a factor such as 5/8.
            min_height=height,
            min_width=width,
            min_factor=factor,
            # Without it the library clears the memory first.
            buffer=np.empty(height * width * ops.channels, np.uint8),
        )
        return _rounded(cast(Pixels, pixels), head.height, head.width, factor)
    except _SIMPLEJPEG_ERRORS as error:
        if any(word in str(error).lower() for word in _DAMAGE):
            raise ImageError("truncated or damaged") from error
    # CMYK and other kinds that libjpeg-turbo's short API refuses.
    with quiet("JPEG"):
        image = open_pillow(without_extras(data, head), "JPEG")
        image.draft(None, (head.width // factor, head.height // factor))
        image.load()
        return np.asarray(_converted(image, ops))


def _decode_pillow(data: bytes, header: Header, ops: PixelOps, turn: int) -> tuple[Pixels, int]:
    """Pixels (h, w, 3) or (h, w), and the EXIF orientation they still have, by Pillow."""
    with quiet(header.format):
        image = _large_webp(data) if _is_large_webp(header) else open_pillow(data, header.format)
        image.load()
        if header.format == "TIFF":
            turn = 1  # Pillow turns a TIFF upright itself while it loads, and no other format.
            if image.mode in ("F", "I"):  # nothing says which values are black, white
                raise ImageError("unsupported format TIFF with 32-bit pixels")
        width, height = image.size
        factor = _factor(Header(header.format, width, height), ops, turn)
        if factor == 1 or width * height < LARGE:
            return np.asarray(_converted(image, ops)), turn
        rows = 64 * factor
        bands = (image.crop((0, top, width, min(height, top + rows))) for top in range(0, height, rows))
        pixels = np.concatenate([np.asarray(_converted(band, ops).reduce(factor)) for band in bands])
        return _rounded(pixels, height, width, factor), turn


def _rounded(pixels: Pixels, height: int, width: int, factor: int) -> Pixels:
    """Without a last row or column that stands for less than half of `factor` pixels, or the picture would be shifted.

    What is left is off by half a pixel of the wanted size at the last border, and less before it.
    """
    return pixels[: max(1, (2 * height // factor + 1) // 2), : max(1, (2 * width // factor + 1) // 2)]


def _is_large_webp(header: Header) -> bool:
    return header.format == "WEBP" and header.width * header.height >= LARGE


def _large_webp(data: bytes) -> Image.Image:
    """By OpenCV, which touches the memory only as pixels come; Pillow fills the whole canvas twice before."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise damaged()
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return Image.fromarray(cv2.cvtColor(pixels, order, dst=pixels))


def _converted(image: Image.Image, ops: PixelOps) -> Image.Image:
    """In RGB or L, whatever it was."""
    if image.mode.startswith("I"):
        image = _from_16_bits(image)
    elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = _over_white(image)
    mode = "RGB" if ops.channels == 3 else "L"
    return image if image.mode == mode else image.convert(mode)


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    clear = image.info.get("transparency")
    eight = np.clip(values.astype(np.float32) / 257 + 0.5, 0, 255).astype(np.uint8)
    if isinstance(clear, int):  # this one value is transparent
        eight[values == clear] = 255
    return Image.fromarray(eight)


def _over_white(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
