"""`data.resize.resized` inside a TensorFlow graph, in OpenCV's own integer arithmetic: nearly all pixels are equal.

A network may answer otherwise by 0.05 where one pixel in eight is off by one grey level, so rounding matters here.
"""

from typing import Any

import tensorflow as tf

_SHARP, _COARSE = 1.25, 2.5
"""As in `data.resize`: up to the first a side is read bilinearly, up to the second bilinearly at twice the size."""
_ONE = 2048
"""OpenCV's weights of bilinear reading are integers of 11 bits (`INTER_RESIZE_COEF_BITS` in its resize.cpp)."""


def resized(pixels: Any, rows: Any, columns: Any) -> Any:
    """(h, w, C) int32 0-255 to (rows, columns, C)."""
    pixels = _halved(pixels, rows, columns)
    height, width = tf.unstack(tf.shape(pixels)[:2])
    coarse = (height / rows > _COARSE) | (width / columns > _COARSE)
    height, width = (tf.where(coarse, tf.minimum(new, old), old) for new, old in ((rows, height), (columns, width)))
    pixels = tf.cond(coarse, lambda: _averaged(pixels, height, width), lambda: pixels)
    double = [tf.where(old / new > _SHARP, 2 * new, new) for old, new in ((height, rows), (width, columns))]
    return _linear(_linear(pixels, *double), rows, columns)


def _halved(pixels: Any, rows: Any, columns: Any) -> Any:
    """Both sides are halved as often as it goes in whole pixels and leaves twice the wanted size."""

    def goes_on(picture: Any) -> Any:
        height, width = tf.unstack(tf.shape(picture)[:2])
        return (height % 2 == 0) & (width % 2 == 0) & (height >= 4 * rows) & (width >= 4 * columns)

    def halve(picture: Any) -> list[Any]:
        total = picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]
        return [tf.bitwise.right_shift(total + 2, 2)]

    shape = tf.TensorShape((None, None, pixels.shape[2]))
    (smaller,) = tf.while_loop(goes_on, halve, [pixels], shape_invariants=[shape])
    return smaller


def _averaged(pixels: Any, rows: Any, columns: Any) -> Any:
    """Each new pixel is the average over the old ones that it covers; no side grows."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    vertical, horizontal = _cover(height, rows), _cover(width, columns)
    average = tf.einsum("ri,ijc,sj->rsc", vertical, tf.cast(pixels, tf.float32), horizontal, optimize="optimal")
    return tf.cast(tf.round(average), tf.int32)


def _cover(old: Any, new: Any) -> Any:
    """The share that each of `old` pixels has in each of `new` ones, (new, old) float32."""
    step = tf.cast(old / new, tf.float32)
    at = tf.range(tf.cast(new, tf.float32))[:, None]
    pixel = tf.range(tf.cast(old, tf.float32))[None, :]
    return tf.maximum(tf.minimum((at + 1) * step, pixel + 1) - tf.maximum(at * step, pixel), 0) / step


def _linear(pixels: Any, rows: Any, columns: Any) -> Any:
    """`cv2.resize` with INTER_LINEAR; a side that has its size already stays bit for bit."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    left, right, near, far = _taps(width, columns)
    across = tf.gather(pixels, left, axis=1) * near[:, None] + tf.gather(pixels, right, axis=1) * far[:, None]
    above, below, near, far = _taps(height, rows)
    # The shifts are those of its fast path: products of 16 bits, of which the upper half is kept.
    across = tf.bitwise.right_shift(across, 4)
    upper = tf.bitwise.right_shift(tf.gather(across, above) * near[:, None, None], 16)
    lower = tf.bitwise.right_shift(tf.gather(across, below) * far[:, None, None], 16)
    return tf.bitwise.right_shift(upper + lower + 2, 2)


def _taps(old: Any, new: Any) -> tuple[Any, Any, Any, Any]:
    """For each of `new` pixels the two of `old` ones that it lies between, and their weights, which sum to 2048."""
    centre = (tf.cast(tf.range(new), tf.float64) + 0.5) * (old / new) - 0.5
    centre = tf.clip_by_value(centre, 0, tf.cast(old, tf.float64) - 1)
    first = tf.floor(centre)
    far = tf.cast(tf.round((centre - first) * _ONE), tf.int32)
    first = tf.cast(first, tf.int32)
    return first, tf.minimum(first + 1, old - 1), _ONE - far, far
