from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.data.digits import write_digits


def test_the_digits_are_a_folder_per_class_of_gray_pictures(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "demo" / "digits")
    files = sorted(folder.rglob("*.png"))
    assert len(files) == 1797
    assert sorted(path.name for path in folder.iterdir()) == list("0123456789")
    with Image.open(files[0]) as image:
        assert (image.mode, image.size) == ("L", (8, 8))
        pixels = np.asarray(image)
    assert (pixels.min(), pixels.max()) == (0, 239)  # of 0 to 16 the first digit goes up to 15
    assert [path.name for path in folder.parent.iterdir()] == ["digits"]
    before = files[0].stat().st_mtime_ns
    assert write_digits(folder) == folder
    assert files[0].stat().st_mtime_ns == before


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_digits(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []
