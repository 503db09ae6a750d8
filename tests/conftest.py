"""What all tests share: a small Ray, made-up pictures, and the way to real data where there is some."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from imgcls_ray.config import PreprocessSettings
    from imgcls_ray.data.preprocess import Preprocessed

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in the background by a shell: programs that we start would inherit it, and tests of Ctrl-C wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST_FIRST = (
    "tests/test_readme.py",
    "tests/pipeline/test_pipeline.py",
    "tests/test_architectures.py",
    "tests/cli/test_program.py",
    "tests/training/test_gang.py",
    "tests/jobs/test_cluster.py",
    "tests/serve/test_run.py",
    "tests/pipeline/test_taking_up.py",
    "tests/pipeline/test_gang_run.py",
    "tests/pipeline/test_two_stages.py",
    "tests/test_benchmarks.py",
    "tests/pipeline/test_ensembling.py",
)
"""Files that take long. What comes last should be short, or one process of `pytest -n` waits long for another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order; of use with --no-loadscope-reorder alone."""
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


def pytest_collection_finish() -> None:
    """What was imported until now is no garbage: looking for some in it took 8 % of the tests with TensorFlow."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """One embedded Ray with two CPUs for all tests that need one."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def picture(label: int, seed: int, size: tuple[int, int] = (24, 32), channels: int = 3) -> np.ndarray:
    """A noisy picture (height, width, channels) whose brightness pattern tells its label: easy, but not trivial."""
    rng = np.random.default_rng([label, seed])
    height, width = size
    waves = np.sin(np.linspace(0, (label + 1) * np.pi, width))[None, :, None] * 80 + 128
    noise = rng.normal(0, 25, (height, width, channels))
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


def assert_same(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    """Equal relative to the largest value: random weights give tiny numbers, all equal by any absolute tolerance."""
    assert actual.shape == expected.shape
    scale = float(np.abs(expected).max())
    assert scale > 0
    assert float(np.abs(actual - expected).max()) <= tolerance * scale


def write_tree(root: Path, classes: int = 3, each: int = 20, suffix: str = ".png", **kwargs: object) -> Path:
    """`root/class0/0.png` ...: a folder per class of made-up pictures."""
    for label in range(classes):
        folder = root / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(each):
            Image.fromarray(picture(label, number, **kwargs)).save(folder / f"{number}{suffix}")  # type: ignore[arg-type]
    return root


def ingested(data: Path | str, folder: Path, settings: "PreprocessSettings", **kwargs: object) -> "Preprocessed":
    """The set of what lies at `data`, made in `folder`; Ray must run."""
    from imgcls_ray.data.preprocess import preprocess
    from imgcls_ray.data.sources import list_source

    source = list_source(str(data), settings.source, unpack=folder / ".unpacked")
    return preprocess(source, folder, settings, **kwargs)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of twenty colour PNGs, 24 pixels high and 32 wide. Read only."""
    return write_tree(tmp_path_factory.mktemp("pictures"))


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} names no folder: real pictures and weights are not part of the project")
    return Path(value)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data sets (IMGCLS_TEST_DATA)."""
    return _folder("IMGCLS_TEST_DATA")


@pytest.fixture(scope="session")
def test_weights() -> Path:
    """The folder of real ImageNet weights (IMGCLS_TEST_WEIGHTS)."""
    return _folder("IMGCLS_TEST_WEIGHTS")
