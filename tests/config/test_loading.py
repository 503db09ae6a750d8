from pathlib import Path

import pytest

from imgcls_ray.config import RunSettings, Size, flatten, load_settings, parse_duration, parse_size
from imgcls_ray.errors import SettingsError


def test_flags_win_over_overrides_and_these_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("data: from-file\nsearch: {trials: 3, epochs: 4, seed: 5}\n")
    settings = load_settings(
        RunSettings, file, ["search.epochs=6", "search.seed=6"], {"search.seed": 7, "search.space": None}
    )
    assert (settings.data, settings.search.trials, settings.search.epochs, settings.search.seed) == (
        "from-file",
        3,
        6,
        7,
    )
    assert settings.search.space == "quick"


def test_a_later_file_is_laid_over_an_earlier_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("data: there\nsearch: {trials: 3, seed: 5}\n")
    second.write_text("search: {trials: 9}\ntracking: {model_name: b}\n")
    settings = load_settings(RunSettings, [first, second])
    assert (settings.data, settings.search.trials, settings.search.seed) == ("there", 9, 5)
    assert settings.tracking.model_name == "b"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.trails=3", "did you mean 'search.trials'"),
        ("serach.trials=3", "did you mean 'search'"),
        ("search.trials=0", "search.trials: input should be greater than or equal to 1; received 0"),
        ("search.time_budget=5q", "90s, 5m or 1h; received '5q'"),
        ("preprocess.image_size=3", "8 to 4096 pixels"),
        ("preprocess.val_fraction=1.5", "preprocess.val_fraction"),
        ("search.trials", "NAME=VALUE"),
        ("data.name=x", "'data' is a single value"),
        ("study=[", "no readable YAML"),
    ],
)
def test_a_wrong_override_is_told_in_a_sentence(override: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(RunSettings, None, ["data=d", override])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("data: x\nsearch: [\n")
    with pytest.raises(SettingsError, match="line"):
        load_settings(RunSettings, file)
    with pytest.raises(SettingsError, match="can't be read"):
        load_settings(RunSettings, tmp_path / "none.yaml")
    file.write_text("- a\n")
    with pytest.raises(SettingsError, match="mapping"):
        load_settings(RunSettings, file)


def test_a_size_is_height_then_width() -> None:
    assert parse_size("120x160") == Size(height=120, width=160)
    assert parse_size(96) == parse_size("96") == Size(96, 96)
    assert (str(Size(96, 96)), str(Size(120, 160))) == ("96", "120x160")
    for wrong in ("", "x", "96x", "1x2x3", 7, "96x5000", None):
        with pytest.raises(ValueError, match="image size"):
            parse_size(wrong)


def test_a_duration_has_a_unit_or_is_seconds() -> None:
    assert [parse_duration(text) for text in ("90s", "1.5m", "1h", 20)] == [90, 90, 3600, 20]
    for wrong in ("", "-1s", "m", "0", "inf"):
        with pytest.raises(ValueError, match="time budget"):
            parse_duration(wrong)


def test_settings_are_flattened_for_the_record() -> None:
    flat = flatten(RunSettings(data="d", weights=("a", "b")).model_dump(mode="json"))
    assert flat["search.trials"] == "30"
    assert flat["weights"] == "a, b"
    assert "study" not in flat
