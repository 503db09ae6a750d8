"""What a finished model says: about single pictures, and about a labelled folder."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.header import sniff
from imgcls_ray.data.pixels import decode
from imgcls_ray.data.sources import Source, check_source, list_source
from imgcls_ray.errors import DataError, ImageError, SettingsError
from imgcls_ray.evaluation.metrics import Metrics, score
from imgcls_ray.evaluation.predictions import Predictions
from imgcls_ray.use.answer import Answer

if TYPE_CHECKING:
    from imgcls_ray.bundle.bundle import Bundle

BATCH = 256
"""Pictures decoded at a time."""


@dataclass(frozen=True)
class Evaluation:
    """A model measured on a labelled folder."""

    metrics: Metrics
    rejected: dict[str, str]
    """Path -> reason of each picture that can't be decoded or has no label; these count in no figure."""
    predictions: Predictions = field(compare=False, repr=False)
    """The answers themselves, calibrated."""
    source: Source = field(compare=False, repr=False)
    """What was evaluated on."""

    def to_json(self) -> dict[str, Any]:
        """The metrics, with the rejected pictures beside them."""
        return {**self.metrics.to_json(), "rejected": self.rejected}


def check_pictures(paths: Sequence[str]) -> None:
    """Tell of a picture that is not there, before a model is loaded for it.

    Raises:
        DataError: a path is no file.
    """
    for path in paths:
        if not Path(path).is_file():
            what = "which is a folder" if Path(path).is_dir() else "where there is none"
            raise DataError(f"Each picture must be a file; received '{path}', {what}.")


def check_folder(data: str) -> None:
    """Tell of labelled data that is not there, before a model is loaded for it.

    Raises:
        DataError: there is no such folder, table, archive or address.
    """
    check_source(data)


def classify(bundle: "Bundle", paths: Sequence[str]) -> list[Answer]:
    """Answer for each picture, in their order. A broken one has an `error` and does not stop the others.

    Raises:
        DataError: a path is no file that can be read.
    """
    check_pictures(paths)
    answers = []
    for batch in _batches(paths):
        for path, outcome in zip(batch, bundle.predict_bytes([_read(path) for path in batch]), strict=True):
            if isinstance(outcome, ImageError):
                answers.append(Answer(path, [], str(outcome)))
            else:
                answers.append(Answer(path, bundle.ranked(outcome), decision=bundle.decision(outcome)))
    return answers


def evaluate(
    bundle: "Bundle",
    data: str,
    settings: SourceSettings = SourceSettings(),  # noqa: B008 - it can't be changed
    unpack: Path | None = None,
) -> Evaluation:
    """Measure a model on every picture of labelled data, of any form that `list_source` knows.

    Args:
        bundle: the model.
        data: a folder, table, archive or address.
        settings: the label list and what becomes of rows with several labels.
        unpack: the folder that archives are unpacked in.

    Raises:
        DataError: the data can't be used, has a class that the model does not know, or no picture can be decoded.
    """
    source = list_source(data, settings, bundle.labels, unpack)
    probabilities, labels, keys = [], [], []
    rejected = {item.path: item.refused for item in source.items if item.refused}
    with ThreadPoolExecutor() as pool:
        for items in _batches([item for item in source.items if not item.refused]):
            outcomes = list(pool.map(lambda item: _decoded(source, item.path, bundle), items))
            images = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
            for item, outcome in zip(items, outcomes, strict=True):
                if isinstance(outcome, ImageError):
                    rejected[item.path] = outcome.reason
                else:
                    labels.append(bundle.labels.index(item.label))
                    keys.append(item.path)
            if images:
                probabilities.append(bundle.predict(np.stack(images)))
    if not labels:
        raise DataError(f"None of the {len(rejected)} files in '{data}' can be decoded as a picture.")
    found = Predictions(tuple(keys), np.array(labels), np.concatenate(probabilities), bundle.labels.names)
    return Evaluation(score(found.probabilities, found.labels, found.names), rejected, found, source)


def write_report(file: Path, bundle: "Bundle", evaluation: Evaluation) -> list[Path]:
    """Write the report of a model on labelled data as one page, and its facts beside it as JSON; returns both.

    Args:
        file: of the page, such as `report.html`; the facts are `report.json` then.
        bundle: the model.
        evaluation: what `evaluate` found of it.

    Raises:
        SettingsError: `file` names no place for a page.
        StorageError: it can't be written.
    """
    from imgcls_ray.reports.model.album import SourceAlbum
    from imgcls_ray.reports.model.page import about, write_model_report

    check_page(file)
    told = about(bundle, evaluation.source.name, evaluation.rejected)
    album = SourceAlbum(evaluation.source.reader, bundle.pixels)
    return write_model_report(file, bundle, told, evaluation.predictions, album)


def check_page(file: Path) -> None:
    """Tell of a place that no page can be written to, before a model is loaded for it.

    Raises:
        SettingsError: a folder, a file in a folder that is not there, a name of another kind, or one whose JSON would
            take the place of something else.
    """
    if file.is_dir():
        wrong = "which is a folder"
    elif file.suffix == ".json":
        wrong = "which is where its JSON goes"
    elif file.suffix.lower() not in (".html", ".htm"):
        wrong = "whose name does not end with .html"
    elif not file.parent.is_dir():
        wrong = "whose folder does not exist"
    elif not _is_free(facts := file.with_suffix(".json")):
        wrong = f"whose figures go to {facts.name}, which exists and holds something else"
    else:
        return
    raise SettingsError(f"A report is written to a file such as report.html; received '{file}', {wrong}.")


def _is_free(facts: Path) -> bool:
    """Whether nothing is there, or the figures of an earlier page."""
    try:
        found = json.loads(facts.read_bytes())
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"format_version", "about", "figures"} <= found.keys()


def _decoded(source: Source, path: str, bundle: "Bundle") -> np.ndarray | ImageError:
    try:
        return decode(source.reader.read(path, sniff), bundle.pixels)  # sniffed before a film of gigabytes is read
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(f"can't be read ({(error.strerror or str(error)).lower()})")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"The picture '{path}' can't be read: {error.strerror}.") from error


def _batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, BATCH)):
        yield batch
