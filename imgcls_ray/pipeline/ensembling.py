"""Whether some of a study's trials together answer better than the one to use, and their networks as one."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from imgcls_ray.config import EnsembleSize
from imgcls_ray.evaluation.bootstrap import figure_of
from imgcls_ray.evaluation.calibration import fit_temperature
from imgcls_ray.evaluation.ensemble import Ensemble, Member
from imgcls_ray.evaluation.selection import FOLDS, Chooser, judge
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.models.joining import Joining
from imgcls_ray.pipeline.standing import FIGURES, Answers
from imgcls_ray.search.choice import choose
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.study import WEIGHTS_KEPT
from imgcls_ray.training.checkpoint import load_variables
from imgcls_ray.training.cost import Costs
from imgcls_ray.training.network import build_network, whole_network

POOL = 8
"""Trials among which `auto` selects; more of them win nothing (see docs/ensembles.md)."""
DEARER = 1.25
"""Multiply-adds that `auto` allows, times those of the single trial: heads on one frozen backbone are far below."""


class Ensembling:
    """Selects among the trials of a study whose weights were kept, by their answers to the validation pictures."""

    def __init__(self, outcome: StudyOutcome, answers: Answers, size: EnsembleSize) -> None:
        self._outcome, self._answers, self._size = outcome, answers, size
        self._context = answers.context
        self._costs = Costs()

    @property
    def wanted(self) -> bool:
        """Whether there is anything to consider."""
        return self._size != "none" and len(self._outcome.trials) > 1

    def consider(self) -> Ensemble:
        """Select, and compare with the trial to use."""
        best = self._outcome.best
        if not self._answers.kept(best):
            return Ensemble((), None, 1.0, "no weights were kept of the trial to use")
        pool = self._pool()
        if len(pool) < 2:
            return Ensemble((), None, 1.0, self._why_alone())
        _, labels = self._answers.of(best)
        if len(labels) < FOLDS:
            return Ensemble((), None, 1.0, f"{len(labels)} validation pictures are too few to tell")
        temperatures = [fit_temperature(self._answers.of(trial)[0], labels) for trial in pool]
        answers = np.stack(
            [
                Calibration(temperature).apply(self._answers.of(trial)[0])
                for trial, temperature in zip(pool, temperatures, strict=True)
            ]
        )
        verdict = judge(answers, labels, self._chooser(pool, labels))
        found = zip(pool, verdict.weights, temperatures, strict=True)
        members = [Member(trial.number, weight, heat) for trial, weight, heat in found if weight > 0]
        members.sort(key=lambda member: -member.weight)
        joined = [trial for trial, weight in zip(pool, verdict.weights, strict=True) if weight > 0]
        return Ensemble(tuple(members), verdict, self._cost(joined) / self._cost([best]))

    def network(self, ensemble: Ensemble, name: str) -> keras.Model:
        """One flat network of the members: pixels in, the weighted average of their probabilities out."""
        trials = {trial.number: trial for trial in self._outcome.trials}
        joining = Joining()
        for member in ensemble.members:
            job = self._context.job(trials[member.trial].params)
            backbone = self._costs.backbone(job)
            before = backbone.get_weights() if backbone else []
            network = build_network(job, backbone)
            load_variables(self._context.weights_path(member.trial), network.variables)
            whole = whole_network(job, backbone, network)
            joining.add(tempered(whole, member.temperature), member.weight)
            if backbone:
                backbone.set_weights(before)  # the next member starts from the same
        return joining.model(name)

    def _pool(self) -> list[TrialOutcome]:
        """The trial to use, then those with the lowest log loss, as far as they may be joined with it."""
        best, limit = self._outcome.best, POOL if isinstance(self._size, str) else self._size
        pool = [best]
        # Whoever is too dear in any case need not answer.
        for trial in sorted(filter(self._may_join, self._candidates()), key=self._loss):
            if len(pool) < limit and self._affordable([*pool, trial]):
                pool.append(trial)
        return pool

    def _candidates(self) -> Sequence[TrialOutcome]:
        """Those whose weights a study keeps. One that was interrupted has all of them still, which may be hundreds."""
        trials = self._answers.trials
        return trials[:WEIGHTS_KEPT] if self._outcome.interrupted else trials

    def _may_join(self, trial: TrialOutcome) -> bool:
        return self._fits(trial) and self._affordable([self._outcome.best, trial])

    def _fits(self, trial: TrialOutcome) -> bool:
        """Whether it could be joined with the trial to use, whatever that costs."""
        another = trial.number != self._outcome.best.number
        return another and self._answers.kept(trial) and self._same_pictures(trial)

    def _affordable(self, trials: Sequence[TrialOutcome]) -> bool:
        return self._size != "auto" or self._cost(trials) <= DEARER * self._cost([self._outcome.best])

    def _loss(self, trial: TrialOutcome) -> float:
        """On all validation pictures, calibrated by itself."""
        given, labels = self._answers.of(trial)
        after = Calibration(fit_temperature(given, labels)).apply(given)
        return figure_of(after, labels, "loss", np.arange(len(labels)))

    def _same_pictures(self, trial: TrialOutcome) -> bool:
        """Whether a trial sees the pictures as the trial to use does: a bundle has one size and one way to resize."""
        one, other = (self._context.job(each.params).data for each in (trial, self._outcome.best))
        return one.path == other.path

    def _cost(self, trials: Sequence[TrialOutcome]) -> int:
        return self._costs.together(self._context.job(trial.params) for trial in trials)

    def _why_alone(self) -> str:
        if any(map(self._fits, self._candidates())):
            return (
                f"no other trial can be joined with the one to use for at most {DEARER:g} times its multiply-adds "
                "(--ensemble N allows more)"
            )
        return "no weights of another trial on pictures of the same size were kept"

    def _chooser(self, pool: Sequence[TrialOutcome], labels: np.ndarray) -> Chooser:
        """The study's own rule, on some of the pictures."""
        objective = self._outcome.objective
        figure = FIGURES[objective.metric]

        def chosen(rows: np.ndarray) -> int:
            measured = []
            for trial in pool:
                given = self._answers.of(trial)[0]
                value = figure_of(given, labels, figure, rows)
                metrics = {"val_loss": figure_of(given, labels, "loss", rows), objective.metric: value}
                measured.append(replace(trial, value=value, metrics=metrics))
            defaults = next((trial for trial in measured if trial.number == 0), None)
            return measured.index(choose(measured, defaults, len(rows), objective)[0])

        return chosen


def tempered(model: keras.Model, temperature: float) -> keras.Model:
    """The same network with its logits divided by a temperature, which goes into the weights of its last layer."""
    last = model.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])
    return model
