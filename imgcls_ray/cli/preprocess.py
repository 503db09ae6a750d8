"""`imgcls preprocess`: from labelled pictures to verified shards and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Address, Config, Json, Overrides
from imgcls_ray.cli.picture_flags import PreprocessFlags
from imgcls_ray.cli.settings import settings_of

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.pipeline.ingestion import Ingested


def preprocess(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Folder, table (.csv, .tsv, .jsonl), archive (.zip, .tar.gz) or s3:// or gs:// URI."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the shards: one set, made or updated.")],
    pictures: PreprocessFlags,
    address: Address = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Decode, check, split and shard labelled pictures, and report on them. A second run does only what is new."""
    from imgcls_ray.cli.output import output
    from imgcls_ray.config import PreprocessSettings

    settings = settings_of(PreprocessSettings, pictures.settings(), config, overrides or [], pictures.beneath())
    with output(as_json) as out_:
        from imgcls_ray.cli.bar import bar
        from imgcls_ray.pipeline.ingestion import ingest

        with bar(out_, "preprocess", data) as progress:
            done = ingest(data, out, settings, address, progress)
        _print(out_, done)
        if as_json:
            out_.document(done.to_json())


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
