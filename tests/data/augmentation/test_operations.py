from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from imgcls_ray.data.augmentation.operations import (
    OPERATIONS,
    Crop,
    Distort,
    Erase,
    FlipHorizontal,
    FlipVertical,
    Operation,
    Rotate,
    view,
)

SHAPES = [(30, 40, 3), (40, 30, 1), (1, 1, 3), (2, 9, 1), (5, 300, 3)]


def picture(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def smooth(height: int = 60, width: int = 80) -> np.ndarray:
    """Brightness tells the place: red goes with the column, green with the row."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 3, rows * 3, rows * 0], -1).astype(np.uint8)


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("shape", SHAPES)
class TestEveryOperation:
    def test_keeps_shape_and_type_and_its_argument(self, kind: type[Operation], shape: tuple[int, int, int]) -> None:
        image = picture(shape)
        before = image.copy()
        for seed in range(5):
            changed = kind(1).apply(image, rng(seed))
            assert changed.shape == shape
            assert changed.dtype == np.uint8
            assert changed.flags.c_contiguous
        assert np.array_equal(image, before)

    def test_is_decided_by_the_generator(self, kind: type[Operation], shape: tuple[int, int, int]) -> None:
        one, two = (kind(0.5).apply(picture(shape), rng(7)) for _ in range(2))
        assert np.array_equal(one, two)

    def test_does_nothing_at_probability_0(self, kind: type[Operation], shape: tuple[int, int, int]) -> None:
        image = picture(shape)
        assert all(np.array_equal(kind(0).apply(image, rng(seed)), image) for seed in range(20))


@pytest.mark.parametrize("kind", OPERATIONS)
class TestProbability:
    def test_is_the_share_of_changed_pictures(self, kind: type[Operation]) -> None:
        image = picture((20, 20, 3))
        changed = sum(not np.array_equal(kind(0.25).apply(image, rng(seed)), image) for seed in range(400))
        assert 70 <= changed <= 130

    def test_is_from_0_to_1(self, kind: type[Operation]) -> None:
        for wrong in (-0.1, 1.1, float("nan")):
            with pytest.raises(ValueError, match="from 0 to 1"):
                kind(wrong)

    def test_parameters_are_frozen(self, kind: type[Operation]) -> None:
        with pytest.raises(FrozenInstanceError):
            kind(1).probability = 0.5  # type: ignore[misc]


def test_names_are_different() -> None:
    assert len({kind.name for kind in OPERATIONS}) == len(OPERATIONS)


def test_flips() -> None:
    image = picture((4, 5, 3))
    assert np.array_equal(FlipHorizontal(1).apply(image, rng()), image[:, ::-1])
    assert np.array_equal(FlipVertical(1).apply(image, rng()), image[::-1])


def test_a_crop_is_a_part_of_three_quarters_anywhere() -> None:
    lefts = []
    for seed in range(30):
        found = Crop(1).apply(smooth(), rng(seed)).astype(float)
        for channel, side, axis in ((0, 80, 1), (1, 60, 0)):
            line = found[..., channel].mean(1 - axis)
            assert abs((line[-1] - line[0]) / 3 - (side * 0.75**0.5 - 1)) < 1.5  # in pixels of the original
        lefts.append(found[0, 0, 0] / 3)
    assert min(lefts) < 3 < 8 < max(lefts)


def test_a_rotation_turns_by_up_to_ten_degrees_and_shows_no_border() -> None:
    angles = []
    for seed in range(30):
        found = Rotate(1).apply(smooth() // 2 + 30, rng(seed))
        assert found.min(axis=(0, 1))[:2].min() >= 30  # nothing black
        middle = found[20:40, 30:50, 0].astype(float)
        angles.append(np.degrees(np.arctan2(np.gradient(middle, axis=0).mean(), np.gradient(middle, axis=1).mean())))
    assert 8 < max(angles) < 11
    assert -11 < min(angles) < -8


def test_a_rotation_reads_within_the_picture() -> None:
    image = np.full((60, 80, 3), 9, np.uint8)
    image[1:-1, 1:-1] = 200
    for seed in range(30):  # mirrored borders would show the frame more than once
        found = Rotate(1).apply(image, rng(seed))
        assert (found < 100).mean() <= (image < 100).mean()


def test_an_erased_rectangle_is_noise_of_at_most_a_quarter() -> None:
    image = np.full((100, 120, 3), 128, np.uint8)
    shares = []
    for seed in range(100):
        changed = (Erase(1).apply(image, rng(seed)) != 128).any(-1)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        inside = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.99  # a rectangle
        shares.append(inside.size / changed.size)
    assert 0.2 < max(shares) <= 0.25
    assert 0.015 < min(shares) < 0.05


def test_a_distortion_moves_a_little_and_leaves_the_border() -> None:
    columns = np.tile(np.arange(250, dtype=np.uint8)[None, :, None], (250, 1, 1))
    moved = []
    for seed in range(5):
        shift = np.abs(Distort(1).apply(columns, rng(seed)).astype(int) - columns)
        assert shift[:, [0, -1]].max() == shift[[0, -1]].max() == 0
        moved.append(shift.max())
    assert 4 <= max(moved) <= round(250 * 8 / 299)


def test_a_view_is_decided_by_its_key_and_each_operation_draws_on_its_own() -> None:
    image = picture((20, 24, 3))
    both = [FlipHorizontal(0.5), FlipVertical(0.5)]
    assert np.array_equal(view(image, both, b"a"), view(image, both, b"a"))
    assert len({view(image, both, bytes([n])).tobytes() for n in range(30)}) == 4
    for n in range(20):
        mirrored = view(image, [FlipHorizontal(0.5), FlipVertical(0)], bytes([n]))
        assert np.array_equal(view(image, [FlipHorizontal(0.5), FlipVertical(1)], bytes([n])), mirrored[::-1])
