from pathlib import Path

import pytest
import yaml

from imgcls_ray.config import RunSettings, Size, load_settings
from imgcls_ray.config.saving import write_settings


def test_saved_settings_are_complete_and_can_be_run_again(tmp_path: Path) -> None:
    settings = load_settings(
        RunSettings,
        overrides=["search.time_budget=5m", "search.image_size=96x128", "search.backbones=[cnn]"],
        flags={"data": "Blümen", "weights": ["a=b.h5"]},
    )
    path = write_settings(tmp_path / "settings.yaml", settings)
    assert load_settings(RunSettings, path) == settings
    assert load_settings(RunSettings, path).search.image_size == Size(96, 128)
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(raw) == set(RunSettings.model_fields)
    assert raw["search"]["trials"] == 30
    assert raw["preprocess"]["val_fraction"] == 0.1
    assert list(tmp_path.iterdir()) == [path]


def test_a_password_is_not_saved(tmp_path: Path) -> None:
    settings = load_settings(RunSettings, flags={"data": "d", "tracking.uri": "postgresql://me:secret@host:1/db"})
    path = write_settings(tmp_path / "settings.yaml", settings)
    assert "secret" not in path.read_text(encoding="utf-8")
    assert load_settings(RunSettings, path).tracking.uri == "postgresql://host:1/db"


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").mkdir()
    with pytest.raises(OSError, match="settings"):
        write_settings(tmp_path / "settings.yaml", RunSettings(data="d"))
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]
