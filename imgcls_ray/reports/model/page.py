"""The files of a model's report: one HTML page that needs nothing else, and the same facts as JSON."""

import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgcls_ray.bundle.card import LIMITS
from imgcls_ray.data.files import storing, write_atomic
from imgcls_ray.evaluation.predictions import Predictions
from imgcls_ray.reports.frame import template
from imgcls_ray.reports.model.album import Album
from imgcls_ray.reports.model.facts import model_report
from imgcls_ray.reports.model.gallery import Gallery, gallery
from imgcls_ray.reports.model.matrix import confusion_map, confusion_table
from imgcls_ray.reports.model.report import About, ModelReport

if TYPE_CHECKING:
    from imgcls_ray.bundle.bundle import Bundle

MODEL_REPORT = "model.html"
"""In a study's folder."""
WEAKEST = 20
"""Classes of the table that are seen at once, the weakest first; of more the others open."""


def about(bundle: "Bundle", data: str, rejected: dict[str, str] | None = None) -> About:
    """What the page says of a bundle; `data` are the pictures in words."""
    card = bundle.card.model_dump(mode="json")
    return About(bundle.card.name, data, card, LIMITS, bundle.calibration, rejected or {})


def write_model_report(file: Path, bundle: "Bundle", told: About, found: Predictions, album: Album) -> list[Path]:
    """Write the page to `file` and its facts beside it, under the same name with `.json`; returns both.

    Args:
        file: ends with something else than `.json`.
        bundle: the model; TensorFlow is needed for what it looks at.
        told: see `about`.
        found: its calibrated answers.
        album: opens the pictures that are shown.

    Raises:
        StorageError: the files can't be written.
        DataError, ModelError: as `model_report`.
    """
    report = model_report(told, found)
    page = model_page(report, gallery(report, album, bundle.network()))
    facts = file.with_suffix(".json")
    with storing(file):
        write_atomic(facts, document(report).encode())
        write_atomic(file, page.encode("utf-8", "replace"))
    return [file, facts]


def document(report: ModelReport) -> str:
    """The facts as JSON. Lists of numbers have a line each: of 1,000 classes the confusion matrix has a million."""
    text = json.dumps(report.to_json(), indent=1)
    return re.sub(r"\[\n[^\[\]{}\"]*\]", lambda found: re.sub(r"\s+", "", found[0]).replace(",", ", "), text)


def model_page(report: ModelReport, pictures: Gallery) -> str:
    """The page."""
    # Loaded here: the first time on a machine matplotlib makes a list of its fonts, and would tell so.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from imgcls_ray.reports.model.plots import NAMED, draw_plots, weakest

    confusion, names = np.array(report.metrics.confusion), tuple(one.name for one in report.classes)
    ordered = sorted(report.classes, key=lambda one: (one.metrics.support == 0, one.metrics.f1))
    return template("model.html").render(
        title=report.about.title,
        report=report,
        gallery=pictures,
        plots={plot.name: plot for plot in draw_plots(report)},
        weakest=weakest(report)[: len(NAMED)],
        table=confusion_table(confusion, names),
        map=confusion_map(confusion, names),
        first=ordered[:WEAKEST],
        rest=ordered[WEAKEST:],
    )
