"""What a model's figures mean, in plain words: what to do first, then what to have in mind."""

import math
from collections.abc import Iterator

from imgcls_ray.reports.model.report import ModelReport
from imgcls_ray.reports.phrases import many, names, percent
from imgcls_ray.reports.report import Advice, shown

ROUGH = 0.1
"""Width of an accuracy's interval from which figures are called rough."""
FEW = 3
"""Mistakes of one kind that are worth a sentence."""
WEAK = 0.15
"""A class is called weak where its recall is so much below the mean of all."""
BELIEVED = 0.03
"""A calibration error up to which probabilities are called right, however little of it is chance."""
FAR = 0.1
"""A calibration error from which something should be done."""


def advise(report: ModelReport) -> tuple[Advice, ...]:
    """All that the figures give reason for: what calls for an act first."""
    parts = (_chance, _labels, _weak, _never, _pairs, _trust, _unsure, _rejected, _rough)
    found = [advice for part in parts for advice in part(report)]
    return tuple(sorted(found, key=lambda advice: advice.level))  # "act" before "know"; the sort is stable


def _chance(report: ModelReport) -> Iterator[Advice]:
    images, low = report.metrics.images, report.figures["accuracy"].low
    largest = max(report.classes, key=lambda one: one.metrics.support)
    if sum(one.metrics.support > 0 for one in report.classes) > 1 and low <= largest.metrics.support / images:
        share = percent(largest.metrics.support, images)
        yield Advice(
            "guessing",
            "act",
            f"Answering always {shown(largest.name)} would be right in {share} of these pictures, and the model is not "
            "clearly better: don't use it before it was trained on more or other pictures.",
        )


def _labels(report: ModelReport) -> Iterator[Advice]:
    if not report.doubted:
        return
    listed = names([one.key for one in report.doubts], report.doubted)
    it = "1 picture is" if report.doubted == 1 else f"{report.doubted:,} pictures are"
    expected = report.doubts_expected
    text = f"{it} given another class than the label with a probability of 0.9 or more: {listed}. "
    if report.labels_doubted:
        more = f"{expected:.0f}" if expected >= 0.5 else "None"
        more += " would be expected of the model itself, so some of these labels are likely wrong"
        yield Advice("labels", "act", f"{text}{more}: mend them, and measure again.")
    else:
        more = f"{expected:.0f} are to be expected of the model itself, so the labels need not be wrong"
        yield Advice("labels", "know", f"{text}About {more}; if you look for wrong ones, look here first.")


def _weak(report: ModelReport) -> Iterator[Advice]:
    there = [one for one in report.classes if one.metrics.support]
    worst = min(there, key=lambda one: one.metrics.recall)
    if len(there) > 1 and worst.metrics.recall < report.metrics.recall_macro - WEAK and worst.answered:
        support = worst.metrics.support
        range_ = worst.spread.recall
        between = f" (95 % from {range_.low:.2f} to {range_.high:.2f})" if range_ else ""
        yield Advice(
            "weakest class",
            "act",
            f"Of {many(support, 'picture')} of {shown(worst.name)}, {round(worst.metrics.recall * support):,} are "
            f"recognised, a share of {worst.metrics.recall:.2f}{between}; over all classes it is "
            f"{report.metrics.recall_macro:.2f}. More pictures of it for training help most.",
        )


def _never(report: ModelReport) -> Iterator[Advice]:
    never = [one.name for one in report.classes if one.metrics.support and not one.answered]
    if never:
        yield Advice(
            "never answered",
            "act",
            f"No picture was given the class {names(never, len(never))}, though there are some.",
        )


def _pairs(report: ModelReport) -> Iterator[Advice]:
    top = [pair for pair in report.pairs if pair.pictures >= FEW][:2]
    if top:
        said = "; ".join(
            f"{pair.pictures:,} of {pair.of:,} pictures of {shown(pair.truth)} are taken for {shown(pair.answer)}"
            for pair in top
        )
        share = sum(pair.pictures for pair in top)
        yield Advice("mistaken most", "know", f"{said}. That is {percent(share, report.wrong)} of all mistakes.")


def _trust(report: ModelReport) -> Iterator[Advice]:
    trust, chance = report.trust, report.metrics.calibration_error_by_chance
    off = f"off by {trust.error_after:.3f} on average (by chance alone {chance:.3f})"
    told = trust.error_after > 1.5 * chance
    if trust.error_after <= BELIEVED:
        text = f"They can be believed: what has 0.8 is right about 8 times in 10. They are {off}."
    elif not told:
        text = f"There are too few pictures to tell whether they can be believed: they are {off}."
    elif abs(trust.surplus) < trust.error_after / 2:
        text = f"Some are too high and some too low: they are {off} (see the curve)."
    else:
        text = f"The model is too {'sure' if trust.surplus > 0 else 'timid'}: its probabilities are {off}."
    if report.about.calibration.temperature != 1 and abs(trust.error_before - trust.error_after) >= 0.005:
        text += f" Without calibration it would be {trust.error_before:.3f}."
    yield Advice("probabilities", "act" if told and trust.error_after > FAR else "know", text)


def _unsure(report: ModelReport) -> Iterator[Advice]:
    operating, calibration = report.trust.operating, report.about.calibration
    accuracy, number = operating.accuracy, operating.sure
    if not calibration.pictures:
        return
    asked = f"{100 * calibration.risk:.3g} %"
    if accuracy is None:
        text = (
            f"No answer is marked sure: by the {many(calibration.pictures, 'picture')} that the thresholds come from, "
            f"none is probable enough for at most {asked} wrong ones. Let a person look at all of them."
        )
        yield Advice("sure and unsure", "know", text)
        return
    noise = 2 * math.sqrt(accuracy * (1 - accuracy) / number)
    kept = accuracy >= 1 - calibration.risk - noise
    if kept and not operating.unsure:
        return
    others = (
        "" if operating.unsure_accuracy is None else f" ({_share(operating.unsure_accuracy)} of the others would be)"
    )
    text = (
        f"{_share(operating.coverage)} of the pictures get a sure answer, and {_share(accuracy)} of these answers are "
        f"right{others}. "
    )
    if kept:
        end = "let a person look at the unsure ones."
        yield Advice("sure and unsure", "know", f"{text}At most {asked} wrong were asked for: {end}")
    else:
        end = (
            f"these pictures are harder than the {calibration.pictures:,} that the thresholds come from, or those were "
            "too few."
        )
        yield Advice("sure and unsure", "act", f"{text}Only {asked} wrong were asked for: {end}")


def _share(value: float) -> str:
    return percent(100 * value, 100)


def _rejected(report: ModelReport) -> Iterator[Advice]:
    number = len(report.about.rejected)
    if number:
        yield Advice(
            "left out",
            "know",
            f"{many(number, 'file')} could not be used and count in no figure; they are listed below.",
        )


def _rough(report: ModelReport) -> Iterator[Advice]:
    accuracy = report.figures["accuracy"]
    if accuracy.high - accuracy.low > ROUGH:
        yield Advice(
            "few pictures",
            "know",
            f"{many(report.metrics.images, 'picture')} tell the accuracy to about "
            f"±{50 * (accuracy.high - accuracy.low):.0f} points only: a difference smaller than that may be chance.",
        )
