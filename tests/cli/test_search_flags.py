"""A sampler, scheduler or objective that can't be had is told before anything is started or written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said

Call = Callable[..., Said]


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_args: object) -> None:
        raise AssertionError("Ray was started for a request that can be refused before")

    monkeypatch.setattr("imgcls_ray.pipeline.job.cluster", started)


@pytest.mark.parametrize(
    ("flag", "value", "legal"),
    [
        ("--sampler", "tpee", "'tpe', 'random', 'grid', 'cmaes' or 'gp'"),
        ("--scheduler", "hyperband", "'asha', 'median' or 'none'"),
        ("--objective", "accuracy", "'val_accuracy', 'val_loss', 'val_f1_macro' or 'val_balanced_accuracy'"),
    ],
)
def test_an_unknown_name(flag: str, value: str, legal: str, imgcls: Call, pictures: Path, tmp_path: Path) -> None:
    sentence = imgcls("run", pictures, "--storage", tmp_path / "storage", flag, value).sentence
    assert flag in sentence
    assert legal in sentence
    assert not (tmp_path / "storage").exists()


def test_a_space_that_the_sampler_can_not_take(imgcls: Call, pictures: Path, tmp_path: Path) -> None:
    sentence = imgcls(
        "run", pictures, "--storage", tmp_path / "storage", "--backbone", "cnn", "--sampler", "grid"
    ).sentence
    assert "no end to the values of" in sentence
    assert not (tmp_path / "storage").exists()
