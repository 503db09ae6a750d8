"""`imgcls demo`: the main job on pictures that come with a dependency."""

from typing import Annotated

import typer

from imgcls_ray.cli.options import Json, Overrides, Storage

SMALL_BACKBONES = ("mobilenet_v2_0.35", "mobilenet_0.25", "mobilenet_v2_1.0")
"""Tried in this order: the first whose weights are at hand joins the search."""


def demo(
    storage: Storage = "./imgcls-runs",
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Trials of the search.", show_default="16")
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Search on 1,797 scanned digits, register the winner and classify one of them. Takes under 4 minutes."""
    from pathlib import Path

    from imgcls_ray.cli.output import output
    from imgcls_ray.cli.run import execute
    from imgcls_ray.cli.settings import settings_of
    from imgcls_ray.config import RunSettings
    from imgcls_ray.data.digits import write_digits
    from imgcls_ray.models.weights import at_hand
    from imgcls_ray.storage import Storage as Root
    from imgcls_ray.storage import writing

    root = Root.open(storage).root
    pictures = root / "demo" / "digits"
    frozen = [name for name in SMALL_BACKBONES if at_hand(name)][:1]
    ours = [
        "preprocess.colorspace=grayscale",
        f"search.backbones=[{', '.join(['cnn', *frozen])}]",
        "search.image_size=32",
        "search.trials=16",
    ]
    flags = {"data": str(pictures), "storage": storage, "search.trials": trials}
    settings = settings_of(RunSettings, flags, None, [*ours, *(overrides or [])])
    with output(as_json) as out:
        with writing(root):
            write_digits(pictures)
        out.line(f"1,797 scanned digits in {pictures}", "demo")
    result = execute(settings, as_json)
    if not as_json:
        from imgcls_ray.cli.classify import classify
        from imgcls_ray.data.manifest import read_manifest

        held_back = (row.path for row in read_manifest(Path(result.data)) if (row.label, row.split) == ("7", "test"))
        example = Path(pictures, next(held_back))
        typer.echo("\nOne picture of the test split, classified by what was just registered:")
        classify([str(example)], model=result.bundle, storage=storage, top=3)
        typer.echo("\nYour own pictures, in a folder with one folder per class:\n  imgcls run FOLDER")
