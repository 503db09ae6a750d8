"""A heat map laid over its picture."""

import cv2
import numpy as np

STRENGTH = 0.65
"""Of the warmest place's colour; where it is cold the picture stays as it is."""


def overlay(images: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Pictures (n, H, W, 3) uint8 RGB with the heat over them, from yellow to red; cold places are darker.

    Args:
        images: (n, H, W, 3) or (n, H, W, 1) uint8.
        heat: (n, H, W) from 0 to 1.
    """
    return np.stack([_laid(image, warm) for image, warm in zip(images, heat, strict=True)]) if len(images) else images


def coloured(values: np.ndarray) -> np.ndarray:
    """Values (h, w) from 0 to 1 as a picture (h, w, 3) uint8 RGB, from black over red to yellow."""
    levels = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))


def _laid(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    share = STRENGTH * (0.35 + 0.65 * np.clip(heat, 0, 1)[..., None])
    mixed = image.astype(np.float32) * (1 - share) + coloured(heat).astype(np.float32) * share
    return np.round(mixed).astype(np.uint8)
