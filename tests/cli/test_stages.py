"""What the table at the end says of two stages."""

from types import SimpleNamespace

import pytest

from imgcls_ray.cli.summary import _stages
from imgcls_ray.config import TrialSettings


def stage(number: int, value: float, test: float, **settings: object) -> SimpleNamespace:
    trial = SimpleNamespace(number=number, value=value, params=TrialSettings.model_validate(settings))
    return SimpleNamespace(trial=trial, test=SimpleNamespace(accuracy=test, images=100))


@pytest.mark.parametrize(("test", "points", "by_chance"), [(0.9, "+10.0", False), (0.82, "+2.0", True)])
def test_the_gain_of_the_second_stage_is_told_and_when_it_may_be_chance(
    test: float, points: str, by_chance: bool
) -> None:
    stages = {"probe": stage(3, 0.7, 0.8), "finetune": stage(9, 0.75, test, from_trial=3)}
    rows = _stages(SimpleNamespace(stages=stages))  # type: ignore[arg-type]
    assert rows[0] == ("best probe", "0.7000", "trial 3, test accuracy 0.8000")
    assert rows[1] == ("best fine-tuned", "0.7500", f"trial 9 from trial 3, test accuracy {test:.4f} ({points} points)")
    assert [row[2].startswith("no more than chance brings on 100 pictures (4.0 points)") for row in rows[2:]] == (
        [True] if by_chance else []
    )


def test_one_stage_has_no_such_rows() -> None:
    assert _stages(SimpleNamespace(stages={})) == []  # type: ignore[arg-type]
