"""The files of a study's report: one HTML page that needs nothing else, its figures, the plots by themselves."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from imgcls_ray.data.files import storing, write_atomic
from imgcls_ray.evaluation.certainty import Certainty, Standing
from imgcls_ray.reports.frame import template
from imgcls_ray.reports.page import REPORT, REPORT_JSON
from imgcls_ray.reports.plot import Plot
from imgcls_ray.reports.study.facts import short, study_report, varied
from imgcls_ray.reports.study.report import StudyReport
from imgcls_ray.search.journal import class_count

PLOTS = "plots"
"""Folder of the plots as files of their own."""
STATES = {"complete": "complete", "pruned": "stopped early", "failed": "failed", "running": "not ended"}


def write_study_report(folder: Path, study: optuna.Study) -> list[Path]:
    """Write `report.html`, `report.json` and `plots/` of a study into `folder`; returns these three.

    Raises:
        StorageError: `folder` can't be written.
    """
    report = study_report(study)
    plots = _drawn(study, report)
    page = study_page(report, plots)
    place = folder / PLOTS
    with storing(folder):
        place.mkdir(exist_ok=True)
        for old in place.glob("*.svg"):  # of parameters that are no longer among the most important
            old.unlink()
        for plot in plots:
            write_atomic(place / f"{plot.name}.svg", plot.svg.encode())
        write_atomic(folder / REPORT_JSON, json.dumps(report.to_json(), indent=1).encode())
        write_atomic(folder / REPORT, page.encode())
    return [folder / REPORT, folder / REPORT_JSON, place]


def write_study_page(file: Path, study: optuna.Study) -> None:
    """Write the page alone.

    Raises:
        StorageError: `file` can't be written.
    """
    report = study_report(study)
    page = study_page(report, _drawn(study, report))
    with storing(file):
        write_atomic(file, page.encode())


def _drawn(study: optuna.Study, report: StudyReport) -> list[Plot]:
    # Loaded here: the first time on a machine matplotlib makes a list of its fonts, and would tell so.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from imgcls_ray.reports.study.plots import draw_plots

    return draw_plots(study, report)


def study_page(report: StudyReport, plots: Sequence[Plot]) -> str:
    """The page."""
    by_name = {plot.name: plot for plot in plots}
    columns = varied(report.board)
    data = report.asked.get("data", {})
    searched = [one.name for one in report.parameters if one.name in columns]
    return template("study.html").render(
        title=report.name,
        report=report,
        states=STATES,
        data=data,
        classes=class_count(data),
        settings=report.asked.get("settings", {}),
        plots=by_name,
        slices=[plot for plot in plots if plot.name.startswith("slice-")],
        ranges=_ranges(report.certainty) if report.certainty else [],
        columns=searched + [name for name in columns if name not in searched],
        short=short,
    )


@dataclass(frozen=True)
class Range:
    """A row of the chart of intervals: places from 0 to 100."""

    standing: Standing
    low: float
    middle: float
    width: float
    defaults: float | None
    """Where the defaults' value is."""


def _ranges(certainty: Certainty) -> list[Range]:
    """The leaders, then the defaults where they are not among them."""
    standings = list(certainty.trials)
    defaults = certainty.defaults
    if defaults is not None and defaults not in standings:
        standings.append(defaults)
    left = min(one.value.low for one in standings)
    right = max(one.value.high for one in standings)

    def place(value: float) -> float:
        return round(2 + 96 * (value - left) / (right - left), 2) if right > left else 50.0

    return [
        Range(
            standing=one,
            low=place(one.value.low),
            middle=place(one.value.value),
            width=round(place(one.value.high) - place(one.value.low), 2),
            defaults=place(defaults.value.value) if defaults else None,
        )
        for one in standings
    ]
