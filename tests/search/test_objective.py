import math
from typing import get_args

import pytest

from imgcls_ray.config import SearchSettings
from imgcls_ray.search.objective import WORDS, WORST_LOSS, Objective


@pytest.mark.parametrize("metric", get_args(SearchSettings.model_fields["objective"].annotation))
def test_every_objective_has_words_and_a_direction(metric: str) -> None:
    objective = Objective(metric)
    assert objective.words == f"validation {WORDS[metric]}"
    assert (objective.mode, objective.direction) in (("max", "maximize"), ("min", "minimize"))
    better, worse = (0.9, 0.1) if objective.mode == "max" else (0.1, 0.9)
    assert objective.gain(better) > objective.gain(worse) >= objective.gain(objective.worst())
    assert math.isfinite(objective.worst(1e6))


def test_a_failed_trial_is_never_told_less_loss_than_another_had() -> None:
    objective = Objective("val_loss")
    assert objective.worst(0.7) == WORST_LOSS
    assert objective.worst(55.0) == 55.0
    assert objective.best == "lowest validation loss"
