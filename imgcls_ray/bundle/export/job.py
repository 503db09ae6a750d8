"""One export: written under a temporary name, loaded by its own runtime, judged, and only then given its name."""

import contextlib
import gc
import logging
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.bundle.export.base import Exporter, Parts
from imgcls_ray.bundle.export.formats import note_of
from imgcls_ray.bundle.export.network import export_network
from imgcls_ray.bundle.export.parity import Parity, answers, check
from imgcls_ray.bundle.export.pictures import Pictures
from imgcls_ray.bundle.files import GOLDEN, MODEL, read_golden, write_json
from imgcls_ray.data.files import force, storing
from imgcls_ray.errors import StorageError
from imgcls_ray.inference.engine import load_engine
from imgcls_ray.inference.latency import latency_ms
from imgcls_ray.models.saved import load_network
from imgcls_ray.quiet import native_messages_hidden

_MB = 1e6


@dataclass(frozen=True)
class Export:
    """What was written, and how it compares."""

    path: Path
    note: Path
    format: str
    parity: Parity
    megabytes: float
    milliseconds: float
    """For one picture, already decoded unless the export decodes; on this machine."""
    document: dict[str, Any]
    """What the note holds."""
    warnings: tuple[str, ...] = ()
    """Sentences."""

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls export --json` prints."""
        return {"path": str(self.path), "note": str(self.note), **self.document}


def export_bundle(bundle: Bundle, exporter: Exporter, place: Path, pictures: Pictures) -> Export:
    """Write `bundle` to the new file or folder `place` in the exporter's format, with a note beside it.

    Judged on the bundle's golden pictures and on `pictures.judging`.

    Raises:
        StorageError: something is at `place` already, or it can't be written.
        SettingsError: a package is missing or the name does not fit the format.
        ModelError: the format can't hold the network, or the export answers otherwise than the bundle. Nothing is left.
    """
    check_place(exporter, place)
    model = load_network(bundle.path / MODEL)
    golden, _ = read_golden(bundle.path / GOLDEN)
    judging = np.concatenate([golden, pictures.judging])
    # Not `bundle.predict`: a bundle may have chosen another engine or fewer bits.
    expected = bundle.calibration.apply(load_engine(model).predict(judging))
    network = export_network(model, bundle.calibration)
    del model  # the converters make many copies of the weights; these need not be one more
    gc.collect()
    # The suffix stays: some writers look at it.
    draft = place.with_name(f".{uuid.uuid4().hex[:8]}.tmp{exporter.suffix}")
    with storing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _quiet():
                exporter.write(Parts(network, bundle, pictures.fitting), draft)
                runner = exporter.load(draft)
                parity = check(exporter, expected, answers(runner, judging))
                findings = exporter.findings(draft, bundle, pictures)
            spent = latency_ms(runner, bundle.pixels.shape)
            size = sum(file.stat().st_size for file in _files(draft)) / _MB
            document = _note(bundle, exporter, pictures, parity, size, spent) | findings
            for file in _files(draft):
                force(file)
            write_json(note_of(draft), document)
            force(note_of(draft))
            # The note first: an export never stands without its note.
            note_of(draft).rename(note_of(place))
            draft.rename(place)
        except BaseException:
            for path in (draft, note_of(draft)):  # made in this call
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            raise
        finally:
            gc.collect()  # the converters leave cycles that hold copies of the weights: 2 GB of a network of 110 MB
    return Export(place, note_of(place), exporter.name, parity, size, spent, document, _warnings(exporter, pictures))


def _warnings(exporter: Exporter, pictures: Pictures) -> tuple[str, ...]:
    if pictures.held_out:
        return ()
    if not exporter.fitted_to_pictures:
        return (
            f"judged on the bundle's {len(pictures.fitting)} golden pictures alone, because its set is not at hand; "
            "give a preprocessed set with --data to judge it by more.",
        )
    return (
        f"the integers of {exporter.name} were chosen by the bundle's few golden pictures and judged on the same ones; "
        "give a preprocessed set with --data to choose and to judge them by more.",
    )


def check_place(exporter: Exporter, place: Path) -> None:
    """Refuse a place that can't be written to.

    Raises:
        StorageError: something is there already.
        SettingsError: as `Exporter.check`.
    """
    exporter.check(place)
    for path in (place, note_of(place)):
        if os.path.lexists(path):
            raise StorageError(f"An export is written to a new place; {path} exists already: choose another --out.")


def _note(
    bundle: Bundle, exporter: Exporter, pictures: Pictures, parity: Parity, size: float, spent: float
) -> dict[str, Any]:
    calibration = bundle.calibration
    return {
        "format": exporter.name,
        "model": bundle.card.name,
        "study": bundle.card.study,
        "takes": exporter.takes,
        "gives": exporter.gives,
        "labels": bundle.labels.to_json(),
        "pixels": bundle.pixels.to_json(),
        "temperature": {"value": calibration.temperature, "inside": True},
        "thresholds": {"all": calibration.threshold, "classes": calibration.class_thresholds},
        "parity": {
            **asdict(parity),
            "judged_on": "the golden pictures" + (f" and {pictures.source}" if len(pictures.judging) else ""),
            "tolerance": exporter.tolerance,
            "least_agreement": exporter.agreement,
        },
        "megabytes": round(size, 3),
        "milliseconds_per_picture": round(spent, 3),
        "cpus": os.cpu_count(),
        "warnings": list(_warnings(exporter, pictures)),
        "versions": {name: version(name) for name in ("tensorflow", "keras", *exporter.packages)},
    }


def _files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The converters talk much, natively and through the loggers, of what is none of the user's business."""
    names = ("absl", "tf2onnx", "tensorflow")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with native_messages_hidden(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
