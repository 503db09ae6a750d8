"""The first page and docs/: their blocks run, their links lead somewhere, their options and parameters exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from imgcls_ray.cli import app
from imgcls_ray.config import RunSettings, TrialSettings, load_settings
from imgcls_ray.search.loading import load_space
from tests.docs.blocks import blocks
from tests.docs.workshop import Workshop, check_form

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def name_of(page: Path) -> str:
    """From the project's root."""
    return page.relative_to(ROOT).as_posix()


DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, *DOCS]
ELSEWHERE = {"docs/cluster.md"}
"""Pages whose blocks another test runs: these need a cluster."""
PYTHON_ELSEWHERE = {"docs/shards.md"}
"""Pages whose Python another test runs: tests/data/shards/test_readers.py, on pictures that it knows."""
NOT_RUN = {
    "README.md": 5,
    "docs/serving.md": 9,
    "docs/export.md": 1,
    "docs/backbones.md": 1,
    "docs/collect.md": 1,
    "docs/search.md": 1,
    "docs/ensembles.md": 1,
    "docs/registry.md": 4,
    "docs/report.md": 1,
}
"""Blocks that are shown but not run here, each with its reason above it in the page."""
LANGUAGES = {"sh", "python", "yaml", "json", "text"}
OTHER_PROGRAMS = {
    "--head",
    "--working-dir",
    "--source",
    "--target",
    "--bind",
    "--directory",
    "--data",
    "--env-manager",
    "--quick",
    "--minutes",
    "--rivals-python",
    "--only",
    "--seconds",
    "--first-seed",
    "--seeds",
}
"""Options on the pages that belong to ray, mlflow, Python and the benchmarks."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Where README.md was run."""
    workshop = Workshop(tmp_path_factory.mktemp("workshop"))
    try:
        workshop.run_page(README)
        yield workshop
    finally:
        workshop.close()


@pytest.mark.timeout(600)
def test_the_first_page_runs(workshop: Workshop) -> None:
    assert (workshop.folder / "imgcls-runs" / "mlflow.db").is_file()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in DOCS if name_of(page) not in ELSEWHERE], ids=name_of)
def test_the_other_pages_run(workshop: Workshop, page: Path) -> None:
    workshop.run_page(page, python=name_of(page) not in PYTHON_ELSEWHERE)


def test_what_is_not_run_is_counted_and_has_a_reason() -> None:
    counts = {name_of(page): sum(block.not_run is not None for block in blocks(page)) for page in PAGES}
    assert {name: count for name, count in counts.items() if count and name not in ELSEWHERE} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_have_a_known_language_and_commands_stand_in_blocks(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, block.place
    indented = re.findall(r"^ {4,}(?:imgcls|curl|ray|make|python) .*", page.read_text(), re.MULTILINE)
    shown = "".join(block.text for block in blocks(page))
    assert [line for line in indented if line not in shown] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_index_lists_each_page() -> None:
    listed = set(re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert listed == {page.name for page in DOCS} - {"README.md"}


def test_the_first_page_fits() -> None:
    assert len(README.read_text().splitlines()) < 250


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_exist(page: Path) -> None:
    command = typer.main.get_command(app)
    commands = command.commands.values()  # type: ignore[attr-defined]
    known = {option for verb in commands for param in verb.params for option in (*param.opts, *param.secondary_opts)}
    known |= {"--help", "--version"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text()))
    assert named - OTHER_PROGRAMS <= known or name_of(page) in ELSEWHERE, named - OTHER_PROGRAMS - known


def test_the_parameters_table_is_whole() -> None:
    table = (ROOT / "docs" / "search.md").read_text().partition("## Parameters")[2].partition("##")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| `?([^|`]+?)`? \|$", table, re.MULTILINE))
    assert rows == {name: _shown(field.default) for name, field in TrialSettings.model_fields.items()}


def _shown(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default).lower()


def test_yaml_on_the_pages_is_legal(tmp_path: Path) -> None:
    checked = 0
    for page in PAGES:
        for block in blocks(page):
            if block.language == "yaml" and name_of(page) not in ELSEWHERE:
                file = tmp_path / "block.yaml"
                file.write_text(block.text)
                if "parameters:" in block.text:
                    load_space(str(file))
                else:
                    load_settings(RunSettings, file, flags={"data": "flowers"})
                checked += 1
    assert checked >= 3


def test_a_wrong_form_is_found() -> None:
    check_form({"a": [1.0]}, {"a": [2.0, 3.0]}, "here")
    for printed in ({"a": [1]}, {"b": [1.0]}, {"a": [1.0], "b": 2}, {"a": 1.0}):
        with pytest.raises(AssertionError):
            check_form({"a": [1.0]}, printed, "here")
