"""The card tells what there is to tell, and nothing in it can break the page."""

import pytest
from pydantic import ValidationError

from imgcls_ray.bundle.card import Card
from imgcls_ray.inference.calibration import Calibration

from .conftest import CARD


def test_the_page_holds_data_figures_settings_limits_and_versions() -> None:
    page = CARD.to_markdown(("cat", "dog"), Calibration())
    for part in ("# pets", "`cat`, `dog`", "58 used", "| test_accuracy | 0.8750 |", "| backbone | cnn |", "| keras |"):
        assert part in page
    assert "knows the classes above and no other" in page
    assert f"fingerprint `{'f' * 64}`" in page


def test_class_names_can_not_break_the_page() -> None:
    page = CARD.to_markdown(("a`b", "c\n# d"), Calibration(1.5, pictures=40))
    assert "`a'b`" in page
    assert "\n# d" not in page


def test_a_card_survives_json() -> None:
    assert Card.model_validate_json(CARD.model_dump_json()) == CARD


def test_a_figure_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValidationError):
        Card.model_validate(CARD.model_dump() | {"metrics": {"val_accuracy": float("nan")}})
