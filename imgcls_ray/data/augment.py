"""Augmented views of pictures: what a classifier should not mind."""

import numpy as np

AREA = (0.5, 1.0)
"""Share of the picture that a view shows."""
ASPECT = (0.8, 1.25)
"""Width to height of that part, against the picture's own."""


def augmented_view(images: np.ndarray, seed: int) -> np.ndarray:
    """One view of each picture (n, H, W, C) uint8: a random part of it, resized, and half of them mirrored.

    The random resized crop of GoogLeNet (Szegedy et al., 2015, section 6), milder. The same seed gives the same views.
    """
    import cv2

    rng = np.random.default_rng(seed)
    views = np.empty_like(images)
    height, width = images.shape[1:3]
    for number, image in enumerate(images):
        area, aspect = rng.uniform(*AREA), np.exp(rng.uniform(*np.log(ASPECT)))
        rows = min(height, max(1, round(height * np.sqrt(area / aspect))))
        columns = min(width, max(1, round(width * np.sqrt(area * aspect))))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        part = image[top : top + rows, left : left + columns]
        view = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR).reshape(image.shape)
        views[number] = view[:, ::-1] if rng.random() < 0.5 else view
    return views
