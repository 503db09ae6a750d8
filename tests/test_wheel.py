"""What travels inside the source distribution, and in the wheel that is made of it."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("pyproject.toml", "README.md", "LICENSE", "imgcls_ray", "serve", "search_spaces")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of the source distribution, as `python -m build` does it: what is in neither is missing here.

    Built from a copy, so that the build leaves nothing in the project. Takes setuptools from the registry.
    """
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    source = [sys.executable, "-c", f"from setuptools.build_meta import build_sdist; build_sdist({str(out)!r})"]
    done = subprocess.run(source, capture_output=True, text=True, cwd=copy)
    assert done.returncode == 0, done.stderr
    [sdist] = out.glob("imgcls_ray-*.tar.gz")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "-w", out]
    done = subprocess.run([*command, sdist], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = out.glob("imgcls_ray-*.whl")
    return wheel


def test_everything_that_the_program_reads_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in ("imgcls_ray", "serve", "search_spaces")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - names == set()
    assert "serve/config.yaml" in names
    assert "serve/static/docs.html" in names
    assert "search_spaces/quick.yaml" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"imgcls_ray", "serve", "search_spaces"}


def test_an_installed_wheel_finds_its_search_spaces(wheel: Path, tmp_path: Path) -> None:
    site = str(tmp_path / "site")
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {site!r})\n"
        "import search_spaces; from imgcls_ray.search.loading import load_space, shipped_spaces\n"
        "load_space('quick'); print(search_spaces.__file__, *shipped_spaces())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(site)
    assert "quick" in done.stdout.split()
