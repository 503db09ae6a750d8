"""The demo's pictures: scikit-learn's scanned handwritten digits (UCI Optical Recognition, Alpaydin & Kaynak 1998)."""

import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np


def write_digits(folder: Path) -> Path:
    """Write the 1,797 digits as `folder/<digit>/<number>.png`, gray, 8x8 pixels scaled to 0-255, unless they are there.

    All or nothing: a run that is ended in between leaves at most a folder whose name begins with a dot.

    Raises:
        OSError: `folder` can't be written.
    """
    if folder.is_dir():
        return folder
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    try:
        for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            path = draft / str(label) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(path)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)  # made in this call
        raise
    return folder
