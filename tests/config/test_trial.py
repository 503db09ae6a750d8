import pytest
from pydantic import ValidationError

from imgcls_ray.config import TrialSettings
from imgcls_ray.config.weighting import parse_weighting


def test_names_of_classes_may_hold_commas_and_signs() -> None:
    assert parse_weighting("a=2, b c =0.5") == {"a": 2.0, "b c": 0.5}
    assert parse_weighting("rock, paper=3,x=y=1e1") == {"rock, paper": 3.0, "x=y": 10.0}
    assert parse_weighting("none") == parse_weighting("balanced") == {}


@pytest.mark.parametrize(
    "text", ["", "balance", "a=", "=2", "a=0", "a=-1", "a=nan", "a=inf", "a=1,a=2", "a=1,b", "a=x"]
)
def test_other_weightings_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="none, balanced or NAME=WEIGHT"):
        TrialSettings(class_weighting=text)
