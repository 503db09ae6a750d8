from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.training.augmentation import Augmentation

OFF = {"flips": "none", "shift": False, "zoom": False, "rotation": False, "contrast": False}
PICTURES = np.random.default_rng(0).uniform(60, 190, (64, 12, 16, 3)).astype(np.float32)


def augmented(**settings: Any) -> np.ndarray:
    augmentation = Augmentation(TrialSettings(**{"augment": 1.0, **OFF, **settings}), Size(12, 16))
    assert augmentation.is_on
    rows = augmentation.draw(1, len(PICTURES), np.random.default_rng(1))[0]
    changed: np.ndarray = augmentation.apply(tf.constant(PICTURES), tf.constant(rows)).numpy()
    return changed


def test_it_is_off_without_strength_or_kinds() -> None:
    assert not Augmentation(TrialSettings(), Size(12, 16)).is_on
    assert not Augmentation(TrialSettings(augment=1.0, **OFF), Size(12, 16)).is_on  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flips", "axes"), [("horizontal", {(), (1,)}), ("vertical", {(), (0,)}), ("both", {(), (0,), (1,), (0, 1)})]
)
def test_flips_are_exact_mirror_images_of_about_half(flips: str, axes: set[tuple[int, ...]]) -> None:
    seen = set()
    for picture, changed in zip(PICTURES, augmented(flips=flips, augment=0.1), strict=True):
        fits = [
            way for way in ((), (0,), (1,), (0, 1)) if np.allclose(np.flip(picture, way), changed, rtol=0, atol=1e-2)
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert seen == axes


def test_contrast_keeps_the_mean_and_changes_the_deviation() -> None:
    changed = augmented(contrast=True)
    assert changed.mean(axis=(1, 2, 3)) == pytest.approx(PICTURES.mean(axis=(1, 2, 3)), abs=0.5)
    ratio = changed.std(axis=(1, 2, 3)) / PICTURES.std(axis=(1, 2, 3))
    assert 0.49 < ratio.min() < 0.6
    assert 1.4 < ratio.max() < 1.51


def test_shift_zoom_and_rotation_move_pixels_as_far_as_they_may() -> None:
    def rows(**settings: Any) -> np.ndarray:
        augmentation = Augmentation(TrialSettings(**{"augment": 0.5, **OFF, **settings}), Size(12, 16))
        drawn: np.ndarray = augmentation.draw(50, 64, np.random.default_rng(1)).reshape(-1, 9)
        return drawn

    shift = rows(shift=True)
    assert np.abs(shift[:, 2]).max() == pytest.approx(0.1 * 16, rel=0.01)
    assert np.abs(shift[:, 5]).max() == pytest.approx(0.1 * 12, rel=0.01)
    zoom = rows(zoom=True)[:, 0]
    assert (zoom.min(), zoom.max()) == pytest.approx((1.4**-0.5, 1.4**0.5), rel=0.01)
    turned = rows(rotation=True)
    assert np.degrees(np.arcsin(turned[:, 3])).max() == pytest.approx(20, rel=0.01)
    middle = np.array([7.5, 5.5])
    for row in turned[:5]:
        there = [row[0] * 7.5 + row[1] * 5.5 + row[2], row[3] * 7.5 + row[4] * 5.5 + row[5]]
        assert there == pytest.approx(middle, abs=1e-4)


def test_pixels_stay_pixels() -> None:
    changed = augmented(flips="both", shift=True, zoom=True, rotation=True, contrast=True)
    assert changed.shape == PICTURES.shape
    assert 0 <= changed.min() < changed.max() <= 255
    assert np.abs(changed - PICTURES).mean() > 5
