"""Which trial of a study to use."""

from imgcls_ray.search.listener import TrialOutcome, rank
from imgcls_ray.search.objective import ACCURACY, Objective


def choose(
    scored: list[TrialOutcome], defaults: TrialOutcome | None, pictures: int, objective: Objective = ACCURACY
) -> tuple[TrialOutcome, float]:
    """The trial to use and the noise that it had to beat.

    The best of many trials on a small validation split is mostly the luckiest. So the defaults stay unless a trial is
    better by more than one standard error of theirs: the one-standard-error rule of Breiman et al. (Classification and
    Regression Trees, 1984, section 3.4.3), with the defaults as the simple model. An objective whose noise is not known
    (`val_loss`) takes the best.
    """
    leader = max(scored, key=lambda trial: rank(trial, objective))
    if defaults is None or defaults.value is None or defaults not in scored:
        return leader, 0.0
    noise = objective.noise(defaults.value, pictures)
    ahead = rank(leader, objective)[0] - objective.gain(defaults.value)
    return (leader if ahead > noise else defaults), noise
