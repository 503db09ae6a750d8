from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageOps

from imgcls_ray.data.resize import resized, upright


def averaged(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Exact averages by area, in floating point."""

    def weights(old: int, new: int) -> np.ndarray:
        edges = np.linspace(0, old, new + 1)
        return np.array(
            [
                np.clip(np.minimum(b, np.arange(1, old + 1)) - np.maximum(a, np.arange(old)), 0, 1)
                for a, b in pairwise(edges)
            ]
        ) * (new / old)

    return np.einsum(
        "ij,jkc,lk->ilc",
        weights(pixels.shape[0], height),
        pixels.astype(float),
        weights(pixels.shape[1], width),
        optimize=True,
    )


def zone_plate(height: int, width: int) -> np.ndarray:
    """Rings that get finer to the borders, down to two pixels: whatever aliases shows as rings that are not there."""
    y, x = np.mgrid[:height, :width]
    radius = (y - height / 2) ** 2 + (x - width / 2) ** 2
    return np.repeat((127.5 + 127.5 * np.cos(np.pi * radius / max(height, width))).astype(np.uint8)[..., None], 3, -1)


def photograph(height: int, width: int) -> np.ndarray:
    """Noise whose strength falls with its frequency, as in photographs."""
    rng = np.random.default_rng(0)
    y, x = np.fft.fftfreq(height)[:, None, None], np.fft.fftfreq(width)[None, :, None]
    spectrum = np.fft.fft2(rng.normal(size=(height, width, 3)), axes=(0, 1)) / (0.01 + np.hypot(y, x))
    values = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return np.clip(128 + 50 * values / values.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "size",
    [(384, 512), (512, 384), (375, 500), (225, 300), (448, 448), (450, 450), (900, 1200), (1001, 999), (90, 2000)],
)
def test_shrinking_averages_by_area(size: tuple[int, int]) -> None:
    image = photograph(*size)
    target = (min(224, size[0]), 224)
    expected = averaged(image, *target)
    error = np.abs(resized(image, *target) - expected).mean()
    pillow = Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR)
    assert error < 2.5  # of values that spread by 50; rounding alone is 0.25
    assert error < np.abs(np.asarray(pillow) - expected).mean(), "Pillow's antialiased filter is nearer"


@pytest.mark.parametrize("size", [(300, 300), (384, 512), (500, 375), (450, 450), (550, 560), (700, 900), (1000, 1000)])
def test_fine_patterns_do_not_alias(size: tuple[int, int]) -> None:
    image = zone_plate(*size)
    expected = averaged(image, 224, 224)
    error = np.abs(resized(image, 224, 224) - expected).mean()
    assert error < 6
    pixels = np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR))
    assert error < np.abs(pixels - expected).mean(), "Pillow's antialiased filter is nearer"


@pytest.mark.parametrize("step", [2, 4, 8, 3])
def test_a_checkerboard_becomes_gray_at_whole_factors(step: int) -> None:
    y, x = np.mgrid[: 24 * step, : 32 * step]
    board = ((y + x) % 2 * 254).astype(np.uint8)
    assert np.abs(resized(board, 24, 32).astype(int) - 127).max() <= (1 if step % 2 == 0 else 15)


def test_what_comes_out_is_never_overwritten_by_the_next_picture() -> None:
    first, second = photograph(384, 512), photograph(400, 300)
    kept = resized(first, 224, 224)
    copy = kept.copy()
    resized(second, 224, 224)
    resized(255 - first, 224, 224)
    assert np.array_equal(kept, copy)


def test_the_input_is_left_as_it_was_and_views_are_fine() -> None:
    image = photograph(384, 512)
    image.flags.writeable = False
    view = image[10:300, 20:400]
    assert np.array_equal(resized(view, 100, 90), resized(view.copy(), 100, 90))
    assert resized(image[..., 0], 100, 90).shape == (100, 90)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_all_orientations_are_turned_as_pillow_turns_them(turn: int, channels: int) -> None:
    pixels = photograph(30, 41)[..., :channels].squeeze()
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = turn
    turned = ImageOps.exif_transpose(image)
    assert np.array_equal(upright(pixels, turn), np.asarray(turned))
