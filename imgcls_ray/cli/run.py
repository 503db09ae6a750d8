"""`imgcls run`: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Config, Json, Overrides
from imgcls_ray.cli.picture_flags import PictureFlags
from imgcls_ray.cli.search_flags import SearchFlags
from imgcls_ray.cli.settings import settings_of
from imgcls_ray.errors import Interrupted

if TYPE_CHECKING:
    from imgcls_ray.config import RunSettings
    from imgcls_ray.pipeline.result import RunResult


def run(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Folder of pictures: CLASS/*, or Training/CLASS/* and Test/CLASS/*.")
    ],
    pictures: PictureFlags,
    flags: SearchFlags,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Preprocess a folder of pictures, search, evaluate, and register the best classifier."""
    typed = {"data": data, **_for_run(pictures.settings()), **flags.settings()}
    execute(begun(typed, config, overrides or [], _for_run(pictures.beneath())), as_json)


def _for_run(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of preprocess by their names in those of a run, where the search has the say on the size."""
    return {("search." if name == "image_size" else "preprocess.") + name: value for name, value in settings.items()}


def begun(
    flags: dict[str, Any], config: Path | None, overrides: list[str], beneath: dict[str, Any] | None = None
) -> "RunSettings":
    """The settings; with `--resume` those that the study began with, over which flags, --config and --set win."""
    from imgcls_ray.config import RunSettings

    settings = settings_of(RunSettings, flags, config, overrides, beneath)
    if not settings.resume:
        return settings
    from imgcls_ray.pipeline.plan import taken_up

    name, file = taken_up(settings)
    there = {**flags, "study": name, "storage": settings.storage}
    return settings_of(RunSettings, there, [file, config] if config else file, overrides, beneath)


def execute(settings: "RunSettings", as_json: bool, prepared: bool = False) -> "RunResult":
    """Run the job (with `prepared` the search alone), show its progress and print its result.

    Raises:
        Interrupted: Ctrl-C ended the search; the best trial so far was registered and printed.
    """
    from imgcls_ray.cli.output import output

    with output(as_json) as out:
        from imgcls_ray.cli.progress import Progress
        from imgcls_ray.cli.summary import print_summary
        from imgcls_ray.pipeline import job as pipeline

        with Progress(out) as progress:
            result = (pipeline.search if prepared else pipeline.run)(settings, progress)
        print_summary(out, result)
        if as_json:
            out.document(result.to_json())
    if result.study.interrupted:
        raise Interrupted(
            f"interrupted; the best of {len(result.study.trials)} trials is registered, and the same command with "
            f"--resume --study {result.study.name} goes on from here."
        )
    return result
