"""Flags become settings: each of its own, and in which order they win."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from imgcls_ray.cli.flags import option, unfolded
from imgcls_ray.cli.picture_flags import PictureFlags, PreprocessFlags
from imgcls_ray.cli.search_flags import SearchFlags
from imgcls_ray.config import PreprocessSettings, RunSettings
from serve.settings import ServeSettings
from tests.cli.conftest import Said

Begun = Callable[..., RunSettings]


@pytest.fixture
def begun(imgcls: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> Begun:
    """The settings that a command line begins with."""

    def call(*words: object) -> RunSettings:
        seen: list[RunSettings] = []
        module = importlib.import_module("imgcls_ray.cli.run")  # its dotted name leads to the verb
        monkeypatch.setattr(module, "execute", lambda settings, *_args, **_kwargs: seen.append(settings))
        assert imgcls(*words).code == 0
        return seen[0]

    return call


def test_run_takes_what_preprocess_takes(begun: Begun) -> None:
    settings = begun(
        *("run", "flowers", "--preset", "emnist", "--resize", "pad", "--labels", "names.txt", "--group-by", "^(.)"),
        *("--format", "tfrecord", "--test-fraction", 0.3, "--val-fraction", 0.25),
    )
    pictures = settings.preprocess
    assert (pictures.colorspace, pictures.resize, pictures.format) == ("grayscale", "pad", "tfrecord")
    assert (pictures.source.labels, pictures.source.group_by) == ("names.txt", "^(.)")
    assert (pictures.test_fraction, pictures.val_fraction) == (0.3, 0.25)
    assert str(settings.search.image_size) == "28"


def test_flags_win_over_set_over_the_file_over_the_preset(begun: Begun, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("preprocess: {near_duplicates: true}\nsearch: {trials: 3, epochs: 4, seed: 5}\n")
    words = ("run", "flowers", "--preset", "fruits360", "--config", file)
    settings = begun(*words, "--set", "search.epochs=6", "--set", "search.seed=7", "--seed", 8)
    assert (settings.search.trials, settings.search.epochs, settings.search.seed) == (3, 6, 8)
    assert settings.preprocess.near_duplicates
    assert (str(settings.search.image_size), settings.preprocess.colorspace) == ("100", "color")
    assert not begun(*words[:4]).preprocess.near_duplicates


def test_a_study_that_is_taken_up_keeps_what_a_second_file_does_not_name(
    begun: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "settings.yaml", tmp_path / "more.yaml"
    first.write_text("data: flowers\nsearch: {trials: 3, seed: 5}\n")
    second.write_text("search: {trials: 60}\n")
    monkeypatch.setattr("imgcls_ray.pipeline.plan.taken_up", lambda _: ("mine", first))
    settings = begun("run", "flowers", "--resume", "--config", second)
    assert (settings.study, settings.search.trials, settings.search.seed) == ("mine", 60, 5)


def test_serve_takes_any_setting(imgcls: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[ServeSettings] = []
    monkeypatch.setattr("serve.run.run", lambda settings, *_args, **_kwargs: seen.append(settings))
    words = ("serve", "--model", "m", "--set", "max_pixels=7000", "--set", "cpus=2", "--set", "canary_weight=0.5")
    assert imgcls(*words).code == 0
    assert imgcls(*words, "--cpus", 3, "--host", "0.0.0.0", "--set", "auth=false").code == 0  # noqa: S104
    assert imgcls(*words, "--set", "api_keys=keys").code == 0
    assert imgcls(*words, "--no-auth", "--set", "api_keys=keys").code == 0
    assert (seen[0].max_pixels, seen[0].cpus, seen[0].canary_weight, seen[0].auth) == (7000, 2, 0.5, False)
    assert (seen[1].cpus, seen[1].auth) == (3, True), "who opens the port asks for keys, whatever --set says"
    assert (seen[2].auth, seen[3].auth) == (True, False)


def test_search_takes_the_same_flags_as_run(begun: Begun) -> None:
    words = ("--space", "probe", "--backbone", "cnn", "--trials", 4, "--workers", 2, "--model-name", "roses")
    of_run, of_search = (begun(verb, "there", *words) for verb in ("run", "search"))
    assert of_run == of_search
    assert (of_search.search.backbones, of_search.search.workers) == (("cnn",), 2)
    assert of_search.tracking.model_name == "roses"


@pytest.mark.parametrize("kind", [SearchFlags, PictureFlags, PreprocessFlags])
def test_each_flag_reaches_a_setting(kind: type) -> None:
    for field in fields(kind):
        if field.name != "preset":  # it is several settings
            flags = kind(**{field.name: "typed"})
            assert list(flags.settings().values()).count("typed") + (flags.settings().get("resume") is True) == 1, field


def test_each_flag_of_preprocess_names_a_setting_that_there_is() -> None:
    for name in PreprocessFlags().settings():
        group, _, inner = name.partition(".")
        known = PreprocessSettings.model_fields[group].annotation
        assert not inner or inner in known.model_fields  # type: ignore[union-attr]


def test_a_group_unfolds_in_its_place_and_comes_back_whole() -> None:
    @dataclass(frozen=True)
    class Sizes:
        width: Annotated[int, option("N", "How wide.", "3", "Sizes")] = 3
        tall: Annotated[bool, option("", "High or low.", False, "Sizes", "--tall/--low")] = False

    seen: list[tuple[str, Sizes, int]] = []

    def verb(name: str, sizes: Sizes, last: Annotated[int, typer.Option()] = 0) -> None:
        seen.append((name, sizes, last))

    program = typer.Typer(add_completion=False)
    program.command()(unfolded(verb))
    done = CliRunner().invoke(program, ["box", "--width", "5", "--tall", "--last", "2"])
    assert (done.exit_code, seen) == (0, [("box", Sizes(5, True), 2)])
    assert [param.name for param in typer.main.get_command(program).params] == ["name", "width", "tall", "last"]
