"""Rules of the house that no linter has."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("imgcls_ray", "serve", "search_spaces")
HEAVY = ("ray", "tensorflow", "keras", "mlflow", "optuna", "sklearn", "openvino", "jinja2")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def modules() -> list[str]:
    names = [path.relative_to(ROOT).with_suffix("").parts for path in sources(*PACKAGES)]
    return [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in names]


def run_python(code: str) -> str:
    """What a fresh Python prints; the environment is a user's, not this test run's."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TF_", "PYTEST_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in sources(*PACKAGES, "tests", "benchmarks")}
    assert len(lengths) > 50
    assert {path: length for path, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize("path", sources("imgcls_ray", "serve"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_asserts_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no docstring"
    asserts = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    silent = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    assert (asserts, silent) == ([], []), "lines with an assert, lines that swallow an exception"


def test_the_linter_forbids_asserts_outside_tests() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in ruff["select"]
    assert not [rule for rule in ruff["ignore"] if rule in ("S", "S1", "S101")]
    assert [folder for folder, rules in ruff["per-file-ignores"].items() if "S101" in rules] == ["tests/**"]


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("imgcls_ray", HEAVY),
        ("imgcls_ray.errors", HEAVY),
        ("imgcls_ray.config", HEAVY),
        ("imgcls_ray.cli", HEAVY),
        ("imgcls_ray.search.listener", HEAVY),
        ("imgcls_ray.storage", HEAVY),
        ("imgcls_ray.tracking", HEAVY),
        ("imgcls_ray.models", HEAVY),
        ("imgcls_ray.data.pixels", HEAVY),
        ("imgcls_ray.data.sources", HEAVY),
        ("imgcls_ray.use.answers", HEAVY),
        ("imgcls_ray.pipeline.plan", ("ray", "tensorflow", "keras", "mlflow", "sklearn")),
        ("imgcls_ray.pipeline.job", ("tensorflow", "keras", "mlflow", "sklearn")),
        ("imgcls_ray.api", ("tensorflow", "keras", "mlflow", "sklearn")),
        ("serve", HEAVY),
    ],
)
def test_an_import_loads_nothing_heavy(module: str, kept_out: tuple[str, ...]) -> None:
    loaded = run_python(f"import {module}, sys; print([name for name in {kept_out} if name in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "--help"], ["classify", "--help"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["imgcls", *{words}]
from imgcls_ray.cli import main
try:
    main()
except SystemExit as ended:
    print("code", ended.code or 0)
print([name for name in {(*HEAVY, "cv2", "pyarrow", "fastapi")} if name in sys.modules])
"""
    assert run_python(code).splitlines()[-2:] == ["code 0", "[]"]


def test_importing_every_module_changes_nothing_outside() -> None:
    code = f"""
import importlib, json, logging, os, random, signal, socket, sys, threading, warnings
import numpy, PIL.Image, PIL.ImageFile
# What a library does when it is imported is its own business: only what our modules do on top of it is looked at.
import cv2, fastapi, h5py, keras, mlflow, optuna, pyarrow, pydantic, ray, ray.data, ray.serve, ray.train, ray.tune
import rich.console, rich.progress, sklearn.metrics, tensorflow, typer, yaml

def state():
    return {{
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "image file": [PIL.ImageFile.LOAD_TRUNCATED_IMAGES, PIL.Image.MAX_IMAGE_PIXELS, PIL.Image.Image.size],
        "root logger": [logging.root.level, logging.root.handlers[:], logging.root.filters[:]],
        "logging off": logging.root.manager.disable,
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "time-out": socket.getdefaulttimeout(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "random": [hash(random.getstate()), numpy.random.get_state()[1].tobytes()],
        "ray": ray.is_initialized(),
        "float type": [keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name],
        "open cv": cv2.getNumThreads(),
        "streams": [sys.stdout, sys.stderr],
        "hooks": [sys.excepthook, warnings.showwarning],
    }}

before = state()
for name in {modules()}:
    importlib.import_module(name)
after = state()
print(sorted(name for name in before if before[name] != after[name]))
"""
    assert run_python(code).splitlines()[-1] == "[]"
