"""From a model's answers to what its report says."""

from dataclasses import replace

import numpy as np

from imgcls_ray.evaluation.curves import Summary, is_sure, mean_curve, operating, precision_recall
from imgcls_ray.evaluation.doubts import SURE, doubtful
from imgcls_ray.evaluation.metrics import score
from imgcls_ray.evaluation.predictions import Predictions
from imgcls_ray.evaluation.reliability import Bin, coverage, curve_of, expected_calibration_error, reliability
from imgcls_ray.evaluation.spread import spread
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.reports.model.advice import advise
from imgcls_ray.reports.model.report import About, ClassFacts, Judged, ModelReport, Pair, Trust

LISTED = 50
"""Mistakes, doubts and kinds of mistakes that are listed; `metrics` counts all."""
RIGHTS = 8
POINTS = 60
"""Of a curve."""
ROWS = 1000
"""Pictures whose calibration is undone at a time."""


def model_report(about: About, found: Predictions) -> ModelReport:
    """All facts of a model from its calibrated answers; its advice among them.

    Raises:
        DataError: there is no picture.
        ModelError: a probability is not a finite number.
    """
    metrics = score(found.probabilities, found.labels, found.names)
    spreads = spread(found.probabilities, found.labels)
    curves = [_curve(found, place) for place in range(len(found.names))]
    there = [curve for curve in curves if curve is not None]
    answered = np.bincount(found.probabilities.argmax(axis=1), minlength=len(found.names))
    highest = found.probabilities.max(axis=1)
    doubts = doubtful(found.probabilities, found.labels)
    judged = _Judge(found, about.calibration, doubts)
    wrong = judged.wrong()
    report = ModelReport(
        about=about,
        metrics=metrics,
        figures=spreads.figures,
        classes=tuple(
            ClassFacts(
                name,
                metrics.per_class[name],
                spreads.classes[place],
                int(answered[place]),
                curve.average_precision if curve else None,
                curve.points if curve else (),
            )
            for place, (name, curve) in enumerate(zip(found.names, curves, strict=True))
        ),
        mean_average_precision=_mean(there),
        mean_curve=tuple(mean_curve(there)),
        pairs=_pairs(np.array(metrics.confusion), found.names),
        trust=_trust(found, about.calibration),
        wrong=len(wrong),
        mistakes=tuple(map(judged.of, wrong[:LISTED])),
        rights=tuple(map(judged.of, judged.surest_right())),
        doubted=len(doubts),
        doubts_expected=float((1 - highest[highest >= SURE]).sum()),
        doubts=tuple(map(judged.of, doubts[:LISTED])),
    )
    return replace(report, advice=advise(report))


def _curve(found: Predictions, place: int) -> Summary | None:
    curve = precision_recall(found.probabilities[:, place], found.labels == place)
    return curve.summary(POINTS) if curve else None


def _mean(curves: list[Summary]) -> float:
    return float(np.mean([curve.average_precision for curve in curves]))


class _Judge:
    """Single pictures, by their positions."""

    def __init__(self, found: Predictions, calibration: Calibration, doubts: np.ndarray) -> None:
        self._found, self._doubts = found, set(doubts.tolist())
        self._answers, self._highest = found.probabilities.argmax(axis=1), found.probabilities.max(axis=1)
        self._sure = is_sure(found.probabilities, found.names, calibration)

    def of(self, place: int) -> Judged:
        """One picture."""
        found, label, answer = self._found, int(self._found.labels[place]), int(self._answers[place])
        return Judged(
            key=found.keys[place],
            label=found.names[label],
            answer=found.names[answer],
            probability=float(self._highest[place]),
            label_probability=float(found.probabilities[place, label]),
            sure=bool(self._sure[place]),
            doubted=int(place) in self._doubts,
        )

    def wrong(self) -> np.ndarray:
        """Positions of the wrong answers, the surest first."""
        places = np.flatnonzero(self._answers != self._found.labels)
        return places[np.argsort(-self._highest[places], kind="stable")]

    def surest_right(self) -> list[int]:
        """Of each of the first classes that has one, the surest right answer."""
        right = self._answers == self._found.labels
        best = []
        for place in range(len(self._found.names)):
            own = np.flatnonzero(right & (self._answers == place))
            if len(own):
                best.append(int(own[self._highest[own].argmax()]))
        return best[:RIGHTS]


def _pairs(confusion: np.ndarray, names: tuple[str, ...]) -> tuple[Pair, ...]:
    of = confusion.sum(axis=1)
    off = confusion * (1 - np.eye(len(names), dtype=int))
    order = np.argsort(-off, axis=None, kind="stable")[:LISTED]
    places = (divmod(int(place), len(names)) for place in order if off.flat[place])
    return tuple(Pair(names[a], names[b], int(off[a, b]), int(of[a])) for a, b in places)


def _trust(found: Predictions, calibration: Calibration) -> Trust:
    before, after = _before(found, calibration), reliability(found.probabilities, found.labels)
    curve = coverage(found.probabilities, found.labels)
    kept = np.unique(np.linspace(0, len(curve) - 1, 3 * POINTS).round().astype(int))
    right = found.probabilities.argmax(axis=1) == found.labels
    return Trust(
        before=tuple(before),
        after=tuple(after),
        error_before=expected_calibration_error(before),
        error_after=expected_calibration_error(after),
        surplus=float(found.probabilities.max(axis=1).mean() - right.mean()),
        coverage=tuple(curve[place] for place in kept.tolist()),
        operating=operating(found.probabilities, found.labels, found.names, calibration),
    )


def _before(found: Predictions, calibration: Calibration) -> list[Bin]:
    """The reliability curve of the softmax, what the calibration did to it undone; some rows at a time in memory."""
    undo = Calibration(1 / calibration.temperature)
    highest, answers = [], []
    for start in range(0, len(found.labels), ROWS):
        plain = undo.apply(found.probabilities[start : start + ROWS])
        highest.append(plain.max(axis=1))
        answers.append(plain.argmax(axis=1))
    return curve_of(np.concatenate(highest), np.concatenate(answers) == found.labels)
