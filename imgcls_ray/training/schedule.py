"""The learning rate of each step of a trial."""

import numpy as np

from imgcls_ray.config import TrialSettings

CYCLE_BASE = 1 / 6
"""Lowest rate of a cycle, as a share of the highest: 0.001 to 0.006 in Smith (2017), section 4.1."""
EXP_RANGE_END = 1 / 64
"""What `exp_range` leaves of a cycle's height at the trial's end: 0.99994^70,000 in Smith (2017), section 4.1."""
ONE_CYCLE_RISE = 0.3
"""Share of the steps over which `one_cycle` rises."""
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1 / 250_000
"""Its first and last rate as shares of the highest; these three are the defaults of PyTorch's OneCycleLR."""


def learning_rates(settings: TrialSettings, steps: np.ndarray, total: int, scale: float = 1.0) -> np.ndarray:
    """The rate of each of `steps` (n,) out of `total`, as float32 (n,); `scale` is what `plateau` has made of it.

    With a `warmup` the rate first rises evenly to `learning_rate` (Goyal et al., 2017, section 2.2); the schedule has
    the steps that are left:

    - `constant`, and `plateau`, which `scale` reduces from epoch to epoch;
    - `cosine`: falls to zero at the end (Loshchilov & Hutter, SGDR, 2017, eq. 5, one cycle);
    - `one_cycle`: rises, then falls to almost nothing (Smith & Topin, 2018), by cosines, at a constant momentum;
    - `triangular`: so many even rises and falls; `triangular2`: each half as high as the one before; `exp_range`: of
      exponentially falling height (Smith, Cyclical Learning Rates, 2017).
    """
    warm = round(settings.warmup * total)
    share = np.clip((steps - warm) / max(total - warm, 1), 0, 1)
    rates = settings.learning_rate * scale * _curve(settings, share)
    if warm:
        rates = np.where(steps < warm, settings.learning_rate * (steps + 1) / warm, rates)
    return rates.astype(np.float32)


def _curve(settings: TrialSettings, share: np.ndarray) -> np.ndarray:
    """The schedule over the share of its steps that is done (n,), 0 to 1, as shares of the learning rate."""
    match settings.schedule:
        case "constant" | "plateau":
            return np.ones(len(share))
        case "cosine":
            return _cosine(share)
        case "one_cycle":
            rising = share < ONE_CYCLE_RISE
            up = ONE_CYCLE_START + (1 - ONE_CYCLE_START) * _cosine(1 - share / ONE_CYCLE_RISE)
            down = ONE_CYCLE_END + (1 - ONE_CYCLE_END) * _cosine((share - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))
            return np.where(rising, up, down)
        case _:
            return CYCLE_BASE + (1 - CYCLE_BASE) * _triangles(settings, share)


def _cosine(share: np.ndarray) -> np.ndarray:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + np.cos(np.pi * share))


def _triangles(settings: TrialSettings, share: np.ndarray) -> np.ndarray:
    """Heights (n,), 0 to 1, of the cycles."""
    done = share * settings.cycles
    height: np.ndarray = 1 - np.abs(2 * (done % 1) - 1)
    match settings.schedule:
        case "triangular2":
            return height * 0.5 ** np.floor(done)
        case "exp_range":
            return height * EXP_RANGE_END**share
        case _:
            return height
