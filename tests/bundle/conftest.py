"""A tiny bundle, made once."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.bundle.bundle import Card, write_bundle
from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.models.network import build_cnn

LABELS = Labels(("cat", "dog", "owl"))
PIXELS = PixelOps(16, 24, "color")
CARD = Card(
    name="pets",
    study="pets-1",
    settings={"backbone": "cnn", "learning_rate": 0.001},
    metrics={"val_accuracy": 0.9, "test_accuracy": 0.875},
    data_name="pets",
    data_fingerprint="f" * 64,
    counts={"found": 60, "used": 58, "rejected": 2},
)


def golden(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *PIXELS.shape), dtype=np.uint8)


def tiny_model(classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4), Size(16, 24), 3, classes)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good bundle. Read only."""
    path = tmp_path_factory.mktemp("bundles") / "pets"
    write_bundle(path, tiny_model(), LABELS, PIXELS, CARD, golden())
    return path


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of the good bundle to break."""
    return Path(shutil.copytree(made, tmp_path / "pets"))
