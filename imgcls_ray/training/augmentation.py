"""Pictures turned, moved, zoomed, mirrored and of other contrast, in the training step of a network on pictures.

One affine transformation for all kinds but the contrast. Drawn for each picture and epoch, in NumPy, from the trial's
seed and the step; done in the compiled epoch, and no part of the model.
"""

import numpy as np
import tensorflow as tf

from imgcls_ray.config import Size, TrialSettings

SHIFT = 0.2
"""Of each side, at strength 1; the ranges are about those of the systems before this one."""
ZOOM = 1.4
ROTATION = np.radians(40)
CONTRAST = 0.5


class Augmentation:
    """What a trial does to pictures (n, H, W, C) float32 of 0-255."""

    def __init__(self, settings: TrialSettings, size: Size) -> None:
        self._settings, self._size = settings, size

    @property
    def is_on(self) -> bool:
        """Whether anything is done."""
        kinds = self._settings
        return bool(
            kinds.augment and (kinds.shift or kinds.zoom or kinds.rotation or kinds.contrast or kinds.flips != "none")
        )

    def draw(self, steps: int, batch: int, rng: np.random.Generator) -> np.ndarray:
        """Rows (steps, batch, 9) float32 for `apply`: where a pixel comes from (8 numbers), and the contrast."""
        settings, shape = self._settings, (steps, batch)

        def uniform(is_on: bool, reach: float) -> np.ndarray:
            drawn = rng.uniform(-1, 1, shape)  # always drawn: a kind more or less leaves the others as they are
            return drawn * reach * settings.augment * is_on

        angle = uniform(settings.rotation, float(ROTATION))
        zoom = np.exp(uniform(settings.zoom, float(np.log(ZOOM))))
        shift_x = uniform(settings.shift, SHIFT * self._size.width)
        shift_y = uniform(settings.shift, SHIFT * self._size.height)
        contrast = 1 + uniform(settings.contrast, CONTRAST)
        # Half of the pictures at any strength: a mirror image is no stronger or weaker.
        mirror_x, mirror_y = (np.where(rng.random(shape) < 0.5, -1, 1) for _ in range(2))
        flip_x = mirror_x if settings.flips in ("horizontal", "both") else 1
        flip_y = mirror_y if settings.flips in ("vertical", "both") else 1
        a, b = flip_x * np.cos(angle) / zoom, -flip_x * np.sin(angle) / zoom
        c, d = flip_y * np.sin(angle) / zoom, flip_y * np.cos(angle) / zoom
        x, y = (self._size.width - 1) / 2, (self._size.height - 1) / 2
        offset_x, offset_y = x + shift_x - a * x - b * y, y + shift_y - c * x - d * y
        zero = np.zeros(shape)
        return np.stack([a, b, offset_x, c, d, offset_y, zero, zero, contrast], axis=-1).astype(np.float32)

    def apply(self, x: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Pictures (n, H, W, C) float32, each changed as its row of `draw` says. In a graph."""
        settings = self._settings
        if settings.shift or settings.zoom or settings.rotation or settings.flips != "none":
            x = tf.raw_ops.ImageProjectiveTransformV3(
                images=x,
                transforms=rows[:, :8],
                output_shape=tf.constant([self._size.height, self._size.width]),
                interpolation="BILINEAR",
                fill_mode="REFLECT",
                fill_value=0.0,
            )
        if settings.contrast:
            mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
            x = tf.clip_by_value(mean + (x - mean) * rows[:, 8, None, None, None], 0.0, 255.0)
        return x
