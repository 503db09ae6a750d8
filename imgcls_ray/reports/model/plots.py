"""The curves of a model's report, in the page's dress."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from imgcls_ray.evaluation.reliability import Bin
from imgcls_ray.reports.dress import drawing, drawn, dress
from imgcls_ray.reports.model.report import ClassFacts, ModelReport
from imgcls_ray.reports.plot import COMPLETE, DEFAULTS, INK, LEADER, LINE, PRUNED, SOFT, Plot

SIZE = (3.5, 3.1)
"""Inches."""
THIN = 40
"""Classes that have a thin line, the weakest first."""
FEWEST = 4
"""Pictures from which a bin is a point of the line; with fewer it is a dot beside it."""
NAMED = (LEADER, DEFAULTS, COMPLETE)
"""Colours of the weakest classes."""


def weakest(report: ModelReport) -> list[ClassFacts]:
    """The classes with pictures, that with the lowest average precision first."""
    there = [one for one in report.classes if one.average_precision is not None]
    return sorted(there, key=lambda one: one.average_precision or 0.0)


def draw_plots(report: ModelReport) -> list[Plot]:
    """Precision and recall, reliability, coverage."""
    trust, operating = report.trust, report.trust.operating
    named = ", ".join(f"{one.name} {one.average_precision:.2f}" for one in weakest(report)[: len(NAMED)])
    right = "none" if operating.accuracy is None else f"{operating.accuracy:.1%}"
    painted = (
        (
            "precision-recall",
            f"precision against recall; mean average precision {report.mean_average_precision:.2f}, lowest: {named}",
            _precision_recall,
        ),
        (
            "reliability",
            f"accuracy against probability; calibration error {trust.error_after:.3f}, "
            f"before calibration {trust.error_before:.3f}",
            _reliability,
        ),
        (
            "coverage",
            f"accuracy of the answers against the share of pictures that are answered; sure: {operating.coverage:.1%} "
            f"of the pictures, right in {right}",
            _coverage,
        ),
    )

    def draw(paint: Callable[[ModelReport, Any], None]) -> Callable[[], Any]:
        def made() -> Any:
            axes = Figure(figsize=SIZE).add_subplot()
            dress(axes)
            paint(report, axes)
            return axes

        return made

    with drawing():
        return [drawn(name, words, SIZE, draw(paint)) for name, words, paint in painted]


def _precision_recall(report: ModelReport, axes: Any) -> None:
    ordered = weakest(report)
    for place, one in enumerate(ordered[:THIN]):
        recall, precision, _ = zip(*one.curve, strict=True)
        strong = place < len(NAMED)
        axes.step(
            (0.0, *recall),
            (precision[0], *precision),
            where="pre",
            color=NAMED[place] if strong else PRUNED,
            linewidth=1.4 if strong else 0.8,
            alpha=1 if strong else 0.6,
            zorder=3 if strong else 2,
        )
    axes.plot(*zip(*report.mean_curve, strict=True), color=INK, linewidth=2, zorder=4)
    axes.set(xlim=(0, 1.005), ylim=(0, 1.02), xlabel="recall", ylabel="precision")


def _reliability(report: ModelReport, axes: Any) -> None:
    trust, images = report.trust, report.metrics.images
    axes.plot([0, 1], [0, 1], color=SOFT, linestyle=(0, (1, 3)), linewidth=1.2)
    for one in trust.after:
        axes.bar(one.low, one.pictures / images, one.high - one.low, align="edge", color=LINE, linewidth=0, zorder=1)
    if report.about.calibration.temperature != 1:
        _line(axes, trust.before, PRUNED, (0, (4, 3)))
    _line(axes, trust.after, COMPLETE, "-")
    for one in trust.after:
        if one.pictures:
            size = 4 + 90 * float(np.sqrt(one.pictures / images))
            axes.scatter(one.confidence, one.accuracy, s=size, color=COMPLETE, zorder=4, linewidth=0, clip_on=False)
    axes.set(xlim=(0, 1.005), ylim=(0, 1.02), xlabel="probability of the answer", ylabel="share that is right")


def _line(axes: Any, bins: tuple[Bin, ...], colour: str, style: Any) -> None:
    full = [one for one in bins if one.pictures >= FEWEST]
    places, heights = [one.confidence for one in full], [one.accuracy for one in full]
    axes.plot(places, heights, color=colour, linestyle=style, linewidth=1.3, zorder=3)


def _coverage(report: ModelReport, axes: Any) -> None:
    trust, operating, calibration = report.trust, report.trust.operating, report.about.calibration
    _, shares, accuracy = zip(*trust.coverage, strict=True)
    axes.plot(shares, accuracy, color=COMPLETE, linewidth=1.6, zorder=3)
    lowest = min(*accuracy, 1 - calibration.risk)
    if calibration.pictures:
        axes.axhline(1 - calibration.risk, color=SOFT, linestyle=(0, (1, 3)), linewidth=1.2, zorder=1)
        if operating.accuracy is not None:
            axes.scatter(operating.coverage, operating.accuracy, s=48, color=LEADER, zorder=4, clip_on=False)
            lowest = min(lowest, operating.accuracy)
    bottom = max(lowest - 0.05, 0.0)
    axes.set(xlim=(0, 1.005), ylim=(bottom, 1 + 0.02 * (1 - bottom)), xlabel="share of pictures answered")
    axes.set_ylabel("share of answers that are right")
