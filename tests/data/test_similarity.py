from collections.abc import Callable

import cv2
import numpy as np
import pytest
import simplejpeg

from imgcls_ray.data import similarity
from imgcls_ray.data.neighbours import LEAST_CONTRAST, MOST_BITS, MOST_DISTANCE
from imgcls_ray.data.similarity import contrast, distance, look_of


def scene(seed: int, height: int = 384, width: int = 512) -> np.ndarray:
    """A picture (height, width, 3) with detail at all sizes, as photographs have."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for side in (3, 6, 12, 24, 48, 96):
        coarse = rng.normal(0, 120 / side**0.5, (side, side, 3))
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def bits_apart(one: np.ndarray, other: np.ndarray) -> int:
    return (int(look_of(one).phash, 16) ^ int(look_of(other).phash, 16)).bit_count()


def apart(one: np.ndarray, other: np.ndarray) -> float:
    first, second = (np.frombuffer(look_of(p).signature, np.uint8)[None] for p in (one, other))
    return float(distance(first, second)[0])


def half(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def jpeg(picture: np.ndarray, quality: int = 50, factor: int = 1) -> np.ndarray:
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    data = simplejpeg.encode_jpeg(picture, quality)
    return simplejpeg.decode_jpeg(data, min_height=height, min_width=width, min_factor=factor)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg quality 50": jpeg,
    "decoded at half size": lambda p: jpeg(p, 95, 2),
    "decoded at a quarter": lambda p: jpeg(p, 95, 4),
    "half size": half,
    "stretched": lambda p: cv2.resize(p, (224, 224), interpolation=cv2.INTER_AREA),
    "enlarged": lambda p: cv2.resize(p, (2000, 1500), interpolation=cv2.INTER_CUBIC),
    "brighter": lambda p: np.clip(p.astype(int) + 10, 0, 255).astype(np.uint8),
    "less contrast": lambda p: (p * 0.8 + 20).astype(np.uint8),
    "gray": lambda p: cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None],
    "gray without channels": lambda p: cv2.cvtColor(p, cv2.COLOR_RGB2GRAY),
    "1 % cut off at each border": lambda p: p[4:-4, 5:-5],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_looks_the_same(change: str) -> None:
    for seed in range(10):
        picture = scene(seed)
        assert bits_apart(picture, CHANGES[change](picture)) <= MOST_BITS
        assert apart(picture, CHANGES[change](picture)) <= MOST_DISTANCE


def test_other_pictures_look_different() -> None:
    pictures = [scene(seed, 96, 128) for seed in range(20)]
    for number, one in enumerate(pictures):
        for other in pictures[:number]:
            assert bits_apart(one, other) > MOST_BITS
            assert apart(one, other) > 4 * MOST_DISTANCE


@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16, 1), (28, 28, 1), (1, 1, 3), (1, 700, 3), (2000, 2000, 3)])
def test_any_size_has_a_look(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = pixels.copy()
    look = look_of(pixels)
    assert len(look.phash) == 16
    assert int(look.phash, 16) >= 0
    assert len(look.signature) == 256
    assert (pixels == before).all()
    assert look_of(pixels[:, ::-1][:, ::-1]) == look  # a view, not contiguous


def test_half_of_the_bits_are_set() -> None:
    assert {int(look_of(scene(seed)).phash, 16).bit_count() for seed in range(5)} == {32}


def test_distance_is_symmetric_and_nothing_for_equals() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 50, 256), dtype=np.uint8)
    np.testing.assert_allclose(distance(one, other), distance(other, one), rtol=1e-5)
    assert distance(one, one).max() == 0


def test_a_slight_zoom_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(picture, picture[8:-8, 10:-10]) for picture in map(scene, range(5))]
    forgiven = [apart(*pair) for pair in pairs]
    monkeypatch.setattr(similarity, "_MOST_ZOOM", 0)
    assert sum(forgiven) < 0.7 * sum(apart(*pair) for pair in pairs)


def test_strokes_on_plain_paper_need_to_agree_better_than_photographs() -> None:
    """The same share of unlike pixels counts more where fewer pixels make the picture."""
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (1, 256)).astype(np.float32)
    stroke = np.zeros((1, 256), np.float32)
    stroke[0, 100:110] = 250
    distances = []
    for picture in (photo, stroke):
        noise = rng.normal(0, 0.05 * picture.std(), picture.shape)
        pair = [np.clip(p, 0, 255).astype(np.uint8) for p in (picture, picture + noise)]
        distances.append(float(distance(pair[0], pair[1])[0]))
    assert distances[1] > 2 * distances[0]


def test_a_flat_picture_has_no_contrast() -> None:
    looks = [look_of(p) for p in (np.full((64, 64, 3), 200, np.uint8), scene(0))]
    levels = contrast(np.stack([np.frombuffer(look.signature, np.uint8) for look in looks]))
    assert levels[0] < LEAST_CONTRAST < levels[1]
