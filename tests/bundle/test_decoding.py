"""The decoder of the exported graph sees what ours sees."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from imgcls_ray.bundle.export.decoding import decoder
from imgcls_ray.data.pixels import PixelOps, decode
from tests.conftest import picture

WAYS = [
    PixelOps(32, 48, "color"),
    PixelOps(40, 40, "color", "crop"),
    PixelOps(40, 30, "color", "pad"),
    PixelOps(32, 48, "grayscale"),
    PixelOps(32, 32, "grayscale", "crop"),
]
SIZES = [(20, 30), (32, 48), (61, 47), (97, 301), (240, 180), (400, 600)]


def encoded(pixels: np.ndarray, kind: str, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("ops", WAYS, ids=lambda ops: f"{ops.height}x{ops.width} {ops.colorspace} {ops.resize}")
def test_pixels_are_those_of_our_decoder(ops: PixelOps) -> None:
    read = decoder(ops)
    for size in SIZES:
        pixels = picture(1, 0, size)
        for data in (encoded(pixels, "JPEG"), encoded(pixels, "JPEG", "L"), encoded(pixels, "PNG")):
            expected, found = decode(data, ops), read(tf.constant(data)).numpy()
            gaps = np.abs(expected.astype(int) - found)
            assert (found.dtype, found.shape) == (np.uint8, ops.shape)
            assert gaps.max() <= 1
            assert gaps.mean() < 0.02, size


def test_transparency_lies_over_white() -> None:
    pixels = np.dstack([picture(2, 0, (40, 50)), np.linspace(0, 255, 2000).reshape(40, 50).astype(np.uint8)])
    for ops in (PixelOps(40, 50, "color"), PixelOps(40, 50, "grayscale")):
        data = encoded(pixels, "PNG")
        gaps = np.abs(decode(data, ops).astype(int) - decoder(ops)(tf.constant(data)).numpy())
        assert gaps.max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_too_many_pixels_are_refused_by_the_header(kind: str) -> None:
    read = decoder(PixelOps(8, 8, "color", max_pixels=1000))
    assert read(tf.constant(encoded(picture(0, 0, (25, 40)), kind))).shape == (8, 8, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 1000 pixels"):
        read(tf.constant(encoded(picture(0, 0, (25, 41)), kind)))


@pytest.mark.parametrize("data", [b"", b"GIF89a", encoded(picture(0, 0), "BMP")])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG or PNG"):
        decoder(PixelOps(8, 8, "color"))(tf.constant(data))
