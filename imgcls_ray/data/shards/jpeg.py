"""Pictures of a shard as JPEG: about a sixth of the space for photographs, at the price of a small loss."""

from collections.abc import Iterable
from typing import cast

import numpy as np
import simplejpeg

from imgcls_ray.data.shards.base import Images

QUALITY = 95
"""Of libjpeg, 1 to 100, with colour at full resolution (4:4:4). libjpeg-turbo gives equal bytes for equal pixels."""


def encode(image: Images) -> bytes:
    """A picture uint8 (H, W, 3) RGB or (H, W, 1) gray as JPEG."""
    image = np.ascontiguousarray(image)
    if image.shape[2] == 1:
        return cast(bytes, simplejpeg.encode_jpeg(image, QUALITY, "GRAY", "Gray"))
    return cast(bytes, simplejpeg.encode_jpeg(image, QUALITY, "RGB", "444"))


def decode(jpegs: Iterable[bytes | memoryview | Images], shape: tuple[int, int, int, int]) -> Images:
    """`shape[0]` JPEGs as uint8 of `shape` (n, H, W, C).

    Raises:
        ValueError: a JPEG is damaged, of another size, or they are not as many.
    """
    images = np.empty(shape, np.uint8)
    for image, jpeg in zip(images, jpegs, strict=True):
        decode_into(image, jpeg)
    return images


def decode_into(image: Images, jpeg: bytes | memoryview | Images) -> None:
    """Decode into `image`, uint8 (H, W, C), contiguous.

    Raises:
        ValueError: the JPEG is damaged or of another size.
    """
    height, width = simplejpeg.decode_jpeg_header(jpeg)[:2]
    if (height, width) != image.shape[:2]:
        raise ValueError(f"a JPEG is {width}x{height}, not {image.shape[1]}x{image.shape[0]}")
    simplejpeg.decode_jpeg(jpeg, "RGB" if image.shape[2] == 3 else "GRAY", buffer=image)
