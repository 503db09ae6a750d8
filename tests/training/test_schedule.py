from typing import Any

import numpy as np
import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.training.schedule import learning_rates


def rates(total: int, scale: float = 1.0, **settings: Any) -> np.ndarray:
    return learning_rates(TrialSettings(learning_rate=0.1, **settings), np.arange(total + 1), total, scale)


def test_cosine_falls_to_zero_and_constant_stays() -> None:
    cosine = rates(10, schedule="cosine")
    assert cosine[0] == np.float32(0.1)
    assert cosine[5] == np.float32(0.05)
    assert abs(cosine[10]) < 1e-8
    assert (np.diff(cosine) < 0).all()
    assert (rates(10, schedule="constant") == np.float32(0.1)).all()


def test_plateau_is_what_its_scale_says() -> None:
    assert rates(4, scale=0.25, schedule="plateau") == pytest.approx(0.025)


def test_one_cycle_rises_for_three_tenths_and_falls_to_almost_nothing() -> None:
    curve = rates(100, schedule="one_cycle")
    assert curve[[0, 30, 100]] == pytest.approx([0.1 / 25, 0.1, 0.1 / 250_000])
    assert curve[[15, 65]] == pytest.approx([0.1 * (1 + 1 / 25) / 2, 0.05], rel=1e-4)
    assert (np.diff(curve[:31]) > 0).all()
    assert (np.diff(curve[30:]) < 0).all()


def test_triangles_rise_and_fall_evenly_between_a_sixth_and_the_whole() -> None:
    curve = rates(60, schedule="triangular", cycles=3)
    assert curve[[0, 20, 40, 60]] == pytest.approx(0.1 / 6)
    assert curve[[10, 30, 50]] == pytest.approx(0.1)
    assert curve[5] == pytest.approx(0.1 * (1 + 1 / 6) / 2)


def test_triangles_shrink_by_half_or_exponentially() -> None:
    heights = rates(60, schedule="triangular2", cycles=3)[[10, 30, 50]] - 0.1 / 6
    assert heights == pytest.approx(0.1 * 5 / 6 * np.array([1, 0.5, 0.25]), rel=1e-5)
    heights = rates(60, schedule="exp_range", cycles=3)[[10, 30, 50]] - 0.1 / 6
    assert heights == pytest.approx(0.1 * 5 / 6 * (1 / 64) ** np.array([1 / 6, 1 / 2, 5 / 6]), rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "plateau", "cosine", "one_cycle", "triangular"])
def test_warmup_rises_evenly_and_the_schedule_has_the_rest(schedule: str) -> None:
    warm = rates(100, schedule=schedule, warmup=0.2)
    assert warm[:20] == pytest.approx(0.1 * np.arange(1, 21) / 20)
    assert warm[20:] == pytest.approx(rates(80, schedule=schedule))


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_trials_have_rates_too(schedule: str, total: int) -> None:
    curve = rates(total, schedule=schedule, warmup=0.5)
    assert np.isfinite(curve).all()
    assert ((curve >= 0) & (curve <= np.float32(0.1))).all()
