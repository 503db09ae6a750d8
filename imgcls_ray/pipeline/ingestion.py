"""The step that turns whatever holds labelled pictures into a preprocessed set with a report, on its own."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.earlier import read_earlier
from imgcls_ray.data.preprocess import Preprocessed, key_of, preprocess
from imgcls_ray.data.sources import SPLITS, list_source
from imgcls_ray.jobs.connection import cluster
from imgcls_ray.jobs.places import check_absolute
from imgcls_ray.reports.data import DataReport
from imgcls_ray.reports.page import REPORT, write_data_report

UNPACKED = ".unpacked"
"""Folder beside the shards that archives are unpacked into."""


@dataclass(frozen=True)
class Ingested:
    """A preprocessed set and what is to be known about it."""

    set: Preprocessed
    report: DataReport

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls preprocess --json` prints."""
        done = self.set
        return {
            "images": asdict(done.counts),
            "rejected": done.causes,
            "splits": {split: done.index.rows(split) for split in SPLITS},
            "shards": len(done.index.shards),
            "bytes": sum(shard.bytes for shard in done.index.shards),
            "seconds": round(done.seconds, 3),
            "out": str(done.path),
            "decoded": done.decoded,
            "fingerprint": done.index.fingerprint,
            "classes": list(done.index.labels.names),
            "report": str(done.path / REPORT),
            "advice": list(self.report.sentences),
        }


def ingest(
    data: str,
    out: Path,
    settings: PreprocessSettings | None = None,
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Ingested:
    """Preprocess `data` (folder, table, archive or URI) into the folder `out`, and report on it.

    `address` is a Ray cluster to join; by default RAY_ADDRESS, else a local Ray is started. `progress(done, total)`
    counts files. A second call only does what is new.

    Raises:
        InputError: the data, the settings or the place can't be used.
    """
    settings = settings or PreprocessSettings()
    check_absolute("data", data)
    check_absolute("output folder", out)
    out = Path(out).expanduser().resolve()
    read_earlier(out, key_of(settings))  # whether the place can be used, before anything is unpacked there
    source = list_source(data, settings.source, unpack=out / UNPACKED)
    with cluster(address):
        done = preprocess(source, out, settings, progress)
    return Ingested(done, write_data_report(done.path, source.reader, source.name))
