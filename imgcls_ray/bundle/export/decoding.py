"""Bytes to pictures inside a TensorFlow graph: what `data.pixels.decode` does, as far as TensorFlow's decoders go.

JPEG and PNG; EXIF orientation is not looked at. A JPEG is made smaller inside the DCT by the same 1, 2, 4 or 8.
Resizing is in `resizing`.
"""

from typing import Any

import tensorflow as tf

from imgcls_ray.bundle.export.resizing import resized
from imgcls_ray.data.pixels import PixelOps

FACTORS = (1, 2, 4, 8)
_LUMA = (0.299, 0.587, 0.114)
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def decoder(ops: PixelOps) -> Any:
    """A `tf.function` from the bytes of one picture (a scalar string) to uint8 (height, width, channels) as `ops` says.

    Refuses, as TensorFlow's InvalidArgumentError, what is neither JPEG nor PNG, and what says that it has more than
    `ops.max_pixels` pixels, before it is decoded.
    """

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    def decode(data: Any) -> Any:
        is_jpeg = tf.equal(tf.strings.substr(data, 0, len(_JPEG)), _JPEG)
        is_png = tf.equal(tf.strings.substr(data, 0, len(_PNG)), _PNG)
        known = tf.debugging.Assert(is_jpeg | is_png, ["A picture must be JPEG or PNG."])
        with tf.control_dependencies([known]):
            pixels = tf.cond(is_jpeg, lambda: _jpeg(data, ops), lambda: _png(data, ops))
        return tf.ensure_shape(tf.cast(_fitted(tf.cast(pixels, tf.int32), ops), tf.uint8), ops.shape)

    return decode


def _jpeg(data: Any, ops: PixelOps) -> Any:
    height, width = tf.unstack(tf.image.extract_jpeg_shape(data)[:2])
    ratios = [height / ops.height, width / ops.width]
    ratio = tf.reduce_max(ratios) if ops.resize == "pad" else tf.reduce_min(ratios)
    level = tf.reduce_sum(tf.cast([factor <= ratio for factor in FACTORS[1:]], tf.int32))

    def smaller(factor: int) -> Any:
        pixels = tf.io.decode_jpeg(data, channels=ops.channels, ratio=factor, dct_method="INTEGER_ACCURATE")
        # A last row or column that stands for less than half of `factor` pixels is left out, as `decode` does.
        rows, columns = (tf.maximum(1, (2 * side // factor + 1) // 2) for side in (height, width))
        return pixels[:rows, :columns]

    with tf.control_dependencies([_bounded(height, width, ops)]):
        return tf.switch_case(level, [lambda factor=factor: smaller(factor) for factor in FACTORS])


def _png(data: Any, ops: PixelOps) -> Any:
    # The header of a PNG is at a fixed place: width and height, four bytes each.
    sides = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)
    with tf.control_dependencies([_bounded(sides[1], sides[0], ops)]):
        pixels = tf.cast(tf.io.decode_png(data, channels=4), tf.float32)
    alpha = pixels[..., 3:] / 255
    colour = tf.round(pixels[..., :3] * alpha + 255 * (1 - alpha))
    if ops.channels == 1:
        colour = tf.round(tf.reduce_sum(colour * _LUMA, axis=-1, keepdims=True))
    return tf.cast(colour, tf.uint8)


def _bounded(height: Any, width: Any, ops: PixelOps) -> Any:
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    small = (height > 0) & (width > 0) & (pixels <= ops.max_pixels)
    return tf.debugging.Assert(small, [f"A picture must have at most {ops.max_pixels} pixels; it has", pixels])


def _fitted(pixels: Any, ops: PixelOps) -> Any:
    """See `data.pixels.fitted`; (h, w, C) int32."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    if ops.resize == "crop":
        rows = tf.minimum(height, _rounded(width * ops.height / ops.width))
        columns = tf.minimum(width, _rounded(height * ops.width / ops.height))
        top, left = (height - rows) // 2, (width - columns) // 2
        pixels = pixels[top : top + rows, left : left + columns]
    if ops.resize != "pad":
        return resized(pixels, tf.constant(ops.height), tf.constant(ops.width))
    scale = tf.minimum(ops.height / height, ops.width / width)
    rows, columns = (_rounded(tf.cast(side, tf.float64) * scale) for side in (height, width))
    inner = resized(pixels, rows, columns)
    top, left = (ops.height - rows) // 2, (ops.width - columns) // 2
    return tf.pad(inner, [[top, ops.height - rows - top], [left, ops.width - columns - left], [0, 0]])


def _rounded(side: Any) -> Any:
    return tf.maximum(1, tf.cast(tf.round(side), tf.int32))
