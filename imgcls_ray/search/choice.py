"""Which trial of a study to use."""

import math

from imgcls_ray.search.listener import TrialOutcome, rank


def standard_error(accuracy: float, pictures: int) -> float:
    """Of an accuracy measured on so many pictures (binomial)."""
    return math.sqrt(accuracy * (1 - accuracy) / pictures)


def choose(scored: list[TrialOutcome], defaults: TrialOutcome | None, pictures: int) -> tuple[TrialOutcome, float]:
    """The trial to use and the noise that it had to beat.

    The best of many trials on a small validation split is mostly the luckiest. So the defaults stay unless a trial is
    better by more than one standard error of theirs: the one-standard-error rule of Breiman et al. (Classification and
    Regression Trees, 1984, section 3.4.3), with the defaults as the simple model.
    """
    leader = max(scored, key=rank)
    if defaults is None or defaults.value is None or defaults not in scored:
        return leader, 0.0
    noise = standard_error(defaults.value, pictures)
    return (leader if rank(leader)[0] - defaults.value > noise else defaults), noise
