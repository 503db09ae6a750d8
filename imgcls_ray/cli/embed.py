"""`imgcls embed`: the features of a frozen backbone, as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Address, Json

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.data.preprocess import Preprocessed
    from imgcls_ray.data.sources import Source
    from imgcls_ray.embeddings.export import Exported
    from imgcls_ray.models import Backbone

SET = "set"
"""Folder below --out for pictures that had to be preprocessed first."""


def embed(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A preprocessed set, or whatever 'imgcls preprocess' takes.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files and their list, embeddings.json.")],
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="A name in docs/backbones.md; bundle:PATH.")
    ] = "mobilenet_v2_1.0",
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="imagenet, none, PATH or NAME=PATH; repeatable.", show_default="imagenet"),
    ] = None,
    views: Annotated[
        int, typer.Option(min=0, max=1000, metavar="K", help="Augmented views of each training picture, beside it.")
    ] = 0,
    file_format: Annotated[str, typer.Option("--format", metavar="NAME", help="npz or tfrecord.")] = "npz",
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="auto, tensorflow or openvino. auto takes a GPU, else OpenVINO if installed."
        ),
    ] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="float32, or bfloat16: twice as fast on some CPUs, less exact.")
    ] = "float32",
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Write what a frozen backbone makes of each picture. A second run does only what is new."""
    from typing import get_args

    from imgcls_ray.bundle.backbone import find_weights
    from imgcls_ray.cli.output import output
    from imgcls_ray.embeddings.files import FileFormat
    from imgcls_ray.inference.base import EngineChoice, Precision
    from imgcls_ray.inference.choice import check_choice
    from imgcls_ray.jobs.places import check_absolute
    from imgcls_ray.models import find_backbone

    check_absolute("data", data)
    check_absolute("output folder", out)
    out = out.expanduser().resolve()
    kind: FileFormat = _one_of("--format", file_format, get_args(FileFormat))
    by: EngineChoice = _one_of("--engine", engine, get_args(EngineChoice))
    exact: Precision = _one_of("--precision", precision, get_args(Precision))
    check_choice(by, exact)
    entry = find_backbone(backbone)
    found = _opened(data, out)
    file = find_weights(entry.name, tuple(weights or ("imagenet",)))
    with output(as_json) as screen:
        from imgcls_ray.cli.bar import bar
        from imgcls_ray.embeddings.export import export
        from imgcls_ray.jobs.connection import LOCAL, address_of, cluster
        from imgcls_ray.models import placed

        if address_of(address) != LOCAL:
            file = placed(file, out / "weights")
        with cluster(address):
            done = _prepared(found, out, entry, screen)
            pictures = sum(shard.rows for shard in done.index.shards)
            with bar(screen, "embed", f"{pictures} pictures through {entry.name}") as progress:
                exported = export(done, entry.name, file, out, views, kind, by, exact, progress)
        _print(screen, exported)
        if as_json:
            screen.document(exported.to_json())


def _one_of(option: str, value: str, legal: tuple[str, ...]) -> Any:
    from imgcls_ray.errors import SettingsError, ending

    if value not in legal:
        raise SettingsError(f"{option} is one of {', '.join(legal)}; received '{value}'{ending(value, legal)}")
    return value


def _opened(data: str, out: Path) -> "Preprocessed | Source":
    """The set at `data`, checked; else the pictures there, listed. Neither needs Ray."""
    from imgcls_ray.config import SourceSettings
    from imgcls_ray.data.index import INDEX
    from imgcls_ray.data.preprocess import open_preprocessed
    from imgcls_ray.data.sources import list_source

    folder = Path(data).expanduser()
    if (folder / INDEX).is_file():
        return open_preprocessed(folder.resolve())
    return list_source(data, SourceSettings(), unpack=out / SET / ".unpacked")


def _prepared(found: "Preprocessed | Source", out: Path, entry: "Backbone", screen: "Output") -> "Preprocessed":
    """The set itself, or the one that the pictures become, as the backbone was trained on."""
    from imgcls_ray.cli.bar import bar
    from imgcls_ray.config import PreprocessSettings
    from imgcls_ray.data.preprocess import Preprocessed, preprocess

    if isinstance(found, Preprocessed):
        return found
    size = entry.native_size
    settings = PreprocessSettings(image_size=size, colorspace="grayscale" if entry.channels == 1 else "color")
    with bar(screen, "preprocess", f"{len(found.items)} files at {size} pixels") as progress:
        return preprocess(found, out / SET, settings, progress)


def _print(screen: "Output", done: "Exported") -> None:
    how = f"{done.engine}, {done.precision}" if done.engine else done.precision
    screen.line(f"{done.rows} vectors of {done.features} features ({how})", "vectors", after=f"({done.seconds:.1f} s)")
    screen.line(f"{len(done.files)} in {done.out}, {done.computed} of them new", "files")
