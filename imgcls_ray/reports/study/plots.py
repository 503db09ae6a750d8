"""Optuna's plots of a study, in the page's dress."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, Formatter, MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState
from optuna.visualization import matplotlib as plots

from imgcls_ray.reports.dress import drawing, drawn, dress, paint
from imgcls_ray.reports.plot import COMPLETE, DEFAULTS, INK, LEADER, PRUNED, SOFT, Plot
from imgcls_ray.reports.study.facts import evaluator
from imgcls_ray.reports.study.report import StudyReport
from imgcls_ray.reports.study.shown import both, shown
from imgcls_ray.search.journal import noted_outcome
from imgcls_ray.search.rows import TrialRow, trial_rows

LEAST = 5
"""Trials with a value from which slices are drawn."""
SLICES = 12
"""Parameters that get a slice, the most important first."""
WIDELY = 20
"""How many times as much the costliest trial takes where the axis of cost is logarithmic."""
WIDE, NARROW = 9.4, 3.3
"""Inches: a plot over the whole page, and one of three beside each other."""
FLAT, LETTERS = 4, 28
"""Choices, and letters of them together, that have room beside each other on a narrow plot."""


def draw_plots(study: optuna.Study, report: StudyReport) -> list[Plot]:
    """The plots that the study has enough trials for: history, curves, cost, importance, a slice for each parameter.

    Args:
        study: of the journal.
        report: what was found out about it.
    """
    with drawing():
        return list(_Painter(study, report).all())


class _Painter:
    """Optuna draws; the colours say what became of a trial, the same on every plot."""

    def __init__(self, study: optuna.Study, report: StudyReport) -> None:
        self._study, self._pair, self._report = shown(study), both(study), report
        self._study_as_it_is = study
        outcomes = [noted_outcome(trial) for trial in study.get_trials(deepcopy=False)]
        stopped = (one.number for one in outcomes if one is not None and one.state == "pruned")
        self._colours = dict.fromkeys(stopped, PRUNED)
        if report.defaults:
            self._colours[0] = DEFAULTS
        if report.leader:
            self._colours[report.leader.number] = LEADER
        self._scored = self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])

    def all(self) -> Iterator[Plot]:
        """In the order of the page."""
        report = self._report
        if len(self._scored) > 1:
            yield drawn("history", f"{report.words} of each trial, and the best so far", (WIDE, 3.2), self._history)
        if report.front:
            words = f"{report.words} and {report.second} of each trial, with the front of both"
            yield drawn("front", words, (WIDE, 3.4), self._front)
        curves = self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])
        if any(len(trial.intermediate_values) > 1 for trial in curves):
            yield drawn("curves", f"{report.words} of each trial after each epoch", (WIDE, 3.6), self._curves)
        if len({row.seconds for row in self._timed()}) > 1:
            words = f"{report.words} of each trial against the seconds of its training"
            yield drawn("cost", words, (WIDE, 3.2), self._cost)
        if len({report.sizes[row.number] for row in self._sized()}) > 1:
            words = f"{report.words} of each trial against the parameters of its network"
            yield drawn("size", words, (WIDE, 3.2), self._size)
        judged = [one for one in report.parameters if one.importance is not None]
        if judged:
            words = "importance: " + ", ".join(f"{one.name} {one.importance:.2f}" for one in judged)
            yield drawn("importance", words, (WIDE, 0.6 + 0.28 * len(judged)), self._importance)
        if len(self._scored) >= LEAST:
            for one in report.parameters[:SLICES]:
                if len({trial.params[one.name] for trial in self._scored if one.name in trial.params}) > 1:
                    yield self._slice(one.name)

    def _colour(self, number: float) -> str:
        return self._colours.get(int(number), COMPLETE)

    def _history(self) -> Any:
        axes = dress(plots.plot_optimization_history(self._study, target_name=self._report.words))
        numbers = axes.collections[0].get_offsets()[:, 0]
        paint(axes.collections[0], [self._colour(number) for number in numbers])
        (best,) = axes.get_lines()
        best.set(color=LEADER, drawstyle="steps-post", linewidth=1.5, alpha=0.8, zorder=1)
        defaults = self._report.defaults
        if defaults and defaults.value is not None:
            axes.axhline(defaults.value, color=DEFAULTS, linestyle=(0, (4, 3)), linewidth=1.2, zorder=0.9)
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return axes

    def _front(self) -> Any:
        names = [str(self._report.second), self._report.words]
        axes = dress(plots.plot_pareto_front(self._pair, target_names=names))
        *others, front = axes.collections
        for points, colour in (*((one, PRUNED) for one in others), (front, LEADER)):
            paint(points, [colour] * len(points.get_offsets()))
        return axes

    def _curves(self) -> Any:
        axes = dress(plots.plot_intermediate_values(self._study))
        for line in axes.get_lines():
            colour = self._colour(int(str(line.get_label()).removeprefix("Trial")))
            above = colour in (LEADER, DEFAULTS)
            alone = len(line.get_xdata()) == 1
            line.set(color=colour, alpha=1 if above else 0.55, linewidth=2 if above else 1, zorder=3 if above else 2)
            line.set_marker("o" if alone else "")
            line.set_markersize(3)
        top = axes.get_ylim()[1]
        for rung in self._report.rungs:
            axes.axvline(rung, color=SOFT, linestyle=(0, (1, 3)), linewidth=1.2, zorder=1)
            axes.annotate(f"rung {rung}", (rung, top), (3, -2), textcoords="offset points", va="top", fontsize=8.5)
            axes.texts[-1].set_color(SOFT)
        axes.set_xlabel("epoch")
        axes.set_ylabel(self._report.words)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return axes

    def _timed(self) -> list[TrialRow]:
        """The trials that ended with a value."""
        return [row for row in trial_rows(self._study_as_it_is) if row.value is not None and row.seconds]

    def _sized(self) -> list[TrialRow]:
        """Those of them whose networks were counted."""
        return [row for row in self._timed() if row.number in self._report.sizes]

    def _cost(self) -> Any:
        return self._against([(row.seconds or 0.0, row) for row in self._timed()], "seconds of training", "{x:g}")

    def _size(self) -> Any:
        costs = [(self._report.sizes[row.number], row) for row in self._sized()]
        return self._against(costs, "parameters of the network", EngFormatter())

    def _against(self, costs: Sequence[tuple[float, TrialRow]], label: str, marks: str | Formatter) -> Any:
        """The values against what they cost, with the best one that can be had for so much."""
        best = [max, min][self._study.direction == StudyDirection.MINIMIZE]
        ordered = sorted(costs, key=lambda one: one[0])
        across, values = [cost for cost, _ in ordered], [row.value or 0.0 for _, row in ordered]
        axes = dress(Figure().add_subplot())
        paint(axes.scatter(across, values), [self._colour(row.number) for _, row in ordered])
        so_far = list(accumulate(values, best))
        axes.step(across, so_far, where="post", color=LEADER, linewidth=1.5, alpha=0.8, zorder=0.9)
        if across[-1] > WIDELY * across[0]:
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(marks)
        axes.set(xlabel=label, ylabel=self._report.words)
        return axes

    def _importance(self) -> Any:
        judged = [one.name for one in self._report.parameters if one.importance is not None]
        axes = dress(plots.plot_param_importances(self._study, evaluator=evaluator(len(self._scored)), params=judged))
        for bar in axes.patches:
            bar.set_facecolor(COMPLETE)
        for text in axes.texts:
            text.set(color=INK, fontsize=9, text=f" {text.get_text()}")
        axes.grid(False)
        axes.spines["bottom"].set_visible(False)
        axes.set(xlabel="", ylabel="", xticks=[])
        return axes

    def _slice(self, name: str) -> Plot:
        def draw() -> Any:
            axes = dress(plots.plot_slice(self._study, params=[name]))
            points = axes.collections[0]
            paint(points, [self._colour(number) for number in points.get_array()])
            for other in axes.get_figure().axes[1:]:  # the bar that tells the trials' numbers by their colours
                other.remove()
            _name_ticks(axes, self._distribution(name))
            axes.set_ylabel("")
            return axes

        return drawn(f"slice-{name}", f"{self._report.words} of each trial by {name}", (NARROW, 2.4), draw)

    def _distribution(self, name: str) -> BaseDistribution:
        return next(trial.distributions[name] for trial in self._scored if name in trial.distributions)


def _name_ticks(axes: Any, distribution: BaseDistribution) -> None:
    """Few marks on the axis of values, that do not run into each other."""
    if isinstance(distribution, CategoricalDistribution):
        names = [label.get_text().strip("'\"") for label in axes.get_xticklabels()]
        slanted = len(names) > FLAT or sum(map(len, names)) > LETTERS
        turn = {"rotation": 28, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        axes.set_xticks(axes.get_xticks(), names, **turn)
    elif isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
        marks = np.geomspace(distribution.low, distribution.high, 3)
        whole = isinstance(distribution, IntDistribution)
        axes.set_xticks(marks, [f"{mark:.0f}" if whole else f"{mark:.2g}" for mark in marks])
        axes.set_xticks([], minor=True)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=isinstance(distribution, IntDistribution)))
