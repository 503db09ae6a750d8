"""The demo's pictures: scikit-learn's scanned handwritten digits (UCI Optical Recognition, Alpaydin & Kaynak 1998)."""

from pathlib import Path

import numpy as np


def write_digits(folder: Path) -> Path:
    """Write the 1,797 digits as `folder/<digit>/<number>.png`, gray, 8x8 pixels scaled to 0-255; leave those there."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(path)
    return folder
