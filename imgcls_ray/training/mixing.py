"""Samples mixed in pairs: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019).

Drawn for each batch, in NumPy, from the trial's seed and the step; mixed in the compiled epoch. A sample's partner is
the one as far from the batch's end as it is from its beginning: the order is random anyway. The larger part is the
sample's own, so that its label stays the likeliest; the partner has the mirror image of it, so nothing is lost.
Mixup of features or of a backbone's maps is that of Manifold Mixup (Verma et al., 2019), at one fixed layer.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from imgcls_ray.config import TrialSettings


class Mixing:
    """What a trial mixes; samples of `shape` (H, W, C) or, mixup only, (features,)."""

    def __init__(self, settings: TrialSettings, shape: Sequence[int]) -> None:
        self._mixup = settings.mixup
        self._cutmix = settings.cutmix if len(shape) == 3 else 0.0
        self._sides = tuple(shape[:2]) if self._cutmix else ()

    @property
    def is_on(self) -> bool:
        """Whether anything is mixed."""
        return bool(self._mixup or self._cutmix)

    def draw(self, steps: int, rng: np.random.Generator) -> np.ndarray:
        """Rows (steps, 6) float32 for `apply`: the sample's share of each pixel and of the target, and the rectangle
        (top, bottom, left, right) that is the partner's alone."""
        rows = np.zeros((steps, 6), np.float32)
        cut = np.full(steps, self._cutmix > 0)
        if self._mixup and self._cutmix:
            cut = rng.random(steps) < 0.5
        alphas = np.where(cut, self._cutmix or 1.0, self._mixup or 1.0)
        own = rng.beta(alphas, alphas)
        own = np.maximum(own, 1 - own)
        rows[:, 0] = np.where(cut, 1, own)
        rows[:, 1] = own
        if self._cutmix:
            box = self._boxes(own, rng)
            rows[:, 2:] = np.where(cut[:, None], box, 0)
            area = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2]) / np.prod(self._sides)
            rows[:, 1] = np.where(cut, 1 - area, own)
        return rows

    def _boxes(self, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rectangles (n, 4) of about 1 - own of the picture, cut at its edges (Yun et al., eq. 2)."""
        ends = []
        for side in self._sides:
            middle, half = rng.integers(0, side, len(own)), np.round(side * np.sqrt(1 - own)) // 2
            ends += [np.clip(middle - half, 0, side), np.clip(middle + half, 0, side)]
        return np.stack(ends, axis=1)

    def apply(self, x: tf.Tensor, target: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Samples (n, ...) and targets (n, K), mixed as a row of `draw` says. In a graph."""
        partner = tf.reverse(x, [0])
        mixed = row[0] * x + (1 - row[0]) * partner if self._mixup else x
        if self._cutmix:
            high, wide = (tf.range(side, dtype=tf.float32) for side in self._sides)
            inside = ((high >= row[2]) & (high < row[3]))[:, None]
            inside = inside & ((wide >= row[4]) & (wide < row[5]))[None, :]
            mixed = tf.where(inside[..., None], partner, mixed)
        return mixed, row[1] * target + (1 - row[1]) * tf.reverse(target, [0])
