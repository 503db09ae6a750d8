"""What the page of a model says of its probabilities."""

from types import SimpleNamespace

import pytest

from imgcls_ray.reports.model.advice import _trust


@pytest.mark.parametrize(
    ("error", "chance", "level", "words"),
    [
        (0.02, 0.001, "know", "They can be believed"),
        (0.02, 0.1, "know", "They can be believed"),
        (0.196, 0.156, "know", "too few pictures to tell"),
        (0.05, 0.01, "know", "too sure"),
        (0.196, 0.1, "act", "too sure"),
    ],
)
def test_probabilities_off_by_no_more_than_chance_are_not_called_good(
    error: float, chance: float, level: str, words: str
) -> None:
    report = SimpleNamespace(
        trust=SimpleNamespace(error_before=error, error_after=error, surplus=error),
        metrics=SimpleNamespace(calibration_error_by_chance=chance),
        about=SimpleNamespace(calibration=SimpleNamespace(temperature=1)),
    )
    [advice] = _trust(report)  # type: ignore[arg-type]
    assert advice.level == level
    assert words in advice.text
