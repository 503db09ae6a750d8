"""`imgcls preprocess`: from labelled pictures to verified shards and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_ray.cli.options import Address, Config, Json, Overrides

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.config import PreprocessSettings
    from imgcls_ray.ingestion import Ingested

PICTURES, SPLITS, SHARDS = "Pictures", "Classes and splits", "Shards"
"""The groups of flags on the page of help."""

FLAGS = {"source.labels": "--labels", "source.multi_label": "--multi-label", "source.group_by": "--group-by"}
"""Flags that are not called as their settings are."""


def _option(text: str, metavar: str, default: str, panel: str) -> Any:
    return typer.Option(help=text, metavar=metavar, show_default=default, rich_help_panel=panel)


def preprocess(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Folder, table (.csv, .tsv, .jsonl), archive (.zip, .tar.gz) or s3:// or gs:// URI."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the shards: one set, made or updated.")],
    preset: Annotated[
        str | None, _option("emnist (gray, 28x28) or fruits360 (colour, 100x100).", "NAME", "none", PICTURES)
    ] = None,
    image_size: Annotated[str | None, _option("N or HxW (height x width) in pixels.", "SIZE", "224", PICTURES)] = None,
    colorspace: Annotated[str | None, _option("color or grayscale.", "NAME", "color", PICTURES)] = None,
    resize: Annotated[str | None, _option("stretch, crop or pad.", "NAME", "stretch", PICTURES)] = None,
    max_pixels: Annotated[
        int | None, _option("Width x height above which a picture is refused.", "N", "178956970", PICTURES)
    ] = None,
    max_bad_fraction: Annotated[
        float | None, _option("Share of unusable files above which the job ends.", "X", "0.5", PICTURES)
    ] = None,
    labels: Annotated[
        str | None, _option("File with one class name a line, in the order of their numbers.", "FILE", "none", SPLITS)
    ] = None,
    multi_label: Annotated[
        str | None, _option("Rows with several labels: refuse, or first.", "NAME", "refuse", SPLITS)
    ] = None,
    group_by: Annotated[
        str | None,
        _option("Regular expression; its first group in a path names what stays together.", "RE", "none", SPLITS),
    ] = None,
    test_fraction: Annotated[float | None, _option("Share kept for the test.", "X", "0.2", SPLITS)] = None,
    val_fraction: Annotated[
        float | None, _option("Share of what is left that is kept for validation.", "X", "0.1", SPLITS)
    ] = None,
    near_duplicates: Annotated[
        bool | None,
        typer.Option(
            "--near-duplicates/--no-near-duplicates",
            help="Keep almost equal pictures in one split.",
            show_default="yes",
            rich_help_panel=SPLITS,
        ),
    ] = None,
    seed: Annotated[int | None, _option("Seed of splits and order.", "N", "0", SPLITS)] = None,
    shard_format: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="hdf5 or tfrecord.", show_default="hdf5", rich_help_panel=SHARDS),
    ] = None,
    encoding: Annotated[str | None, _option("raw, or jpeg (small, lossy).", "NAME", "raw", SHARDS)] = None,
    shard_mb: Annotated[float | None, _option("Most pixels of a shard, in MB.", "X", "100", SHARDS)] = None,
    address: Address = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Decode, check, split and shard labelled pictures, and report on them. A second run does only what is new."""
    settings = load(
        preset,
        {
            "image_size": image_size,
            "colorspace": colorspace,
            "resize": resize,
            "max_pixels": max_pixels,
            "max_bad_fraction": max_bad_fraction,
            "source.labels": labels,
            "source.multi_label": multi_label,
            "source.group_by": group_by,
            "test_fraction": test_fraction,
            "val_fraction": val_fraction,
            "near_duplicates": near_duplicates,
            "seed": seed,
            "format": shard_format,
            "encoding": encoding,
            "shard_mb": shard_mb,
        },
        config,
        overrides or [],
    )
    from imgcls_ray.cli.output import output

    with output(as_json) as out_:
        from imgcls_ray.cli.bar import bar
        from imgcls_ray.ingestion import ingest

        with bar(out_, "preprocess", data) as progress:
            done = ingest(data, out, settings, address, progress)
        _print(out_, done)
        if as_json:
            out_.document(done.to_json())


def load(preset: str | None, flags: dict[str, Any], config: Path | None, overrides: list[str]) -> "PreprocessSettings":
    """The settings: a preset, over it the file, over it the flags."""
    from imgcls_ray.cli.run import by_flag
    from imgcls_ray.config import PRESETS, PreprocessSettings, load_settings
    from imgcls_ray.errors import SettingsError, nearest

    if preset is not None and preset not in PRESETS:
        raise SettingsError(f"A preset is one of {', '.join(PRESETS)}; received '{preset}'{nearest(preset, PRESETS)}.")
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return load_settings(PreprocessSettings, config, overrides, {**(PRESETS[preset] if preset else {}), **given})
    except SettingsError as error:
        raise SettingsError(by_flag(str(error), flags, FLAGS)) from error


def _print(out: "Output", done: "Ingested") -> None:
    from imgcls_ray.data.sources import SPLITS
    from imgcls_ray.reports.page import REPORT

    counts, index = done.set.counts, done.set.index
    found = f"{counts.used} of {counts.found} pictures ({counts.rejected} rejected, {counts.duplicates} duplicates)"
    out.line(found, "pictures", after=f"({done.set.seconds:.1f} s, {done.set.decoded} decoded)")
    for cause, number in done.set.causes.items():
        out.line(f"{number:>11} {cause}")
    out.line(", ".join(f"{index.rows(split)} {split}" for split in SPLITS), "splits")
    size = sum(shard.bytes for shard in index.shards) / 1e6
    out.line(f"{len(index.shards)} in {done.set.path}, {size:.1f} MB", "shards")
    for sentence in done.report.urgent:
        out.line(sentence, "advice")
    more = len(done.report.sentences) - len(done.report.urgent)
    out.line(str(done.set.path / REPORT), "report", after=f"({more} more to know)" if more else "")
