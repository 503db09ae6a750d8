"""How the trials that lead a study stand against its defaults, by the weights that were kept of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgcls_ray.data.manifest import read_manifest
from imgcls_ray.evaluation.bootstrap import Figure
from imgcls_ray.evaluation.certainty import Certainty, certainty
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome, rank
from imgcls_ray.search.study import Study
from imgcls_ray.training.predictions import predict
from imgcls_ray.training.warm import Warm

LEADERS = 3
"""Trials that are compared with the defaults."""

FIGURES: dict[str, Figure] = {
    "val_accuracy": "accuracy",
    "val_loss": "loss",
    "val_f1_macro": "f1_macro",
    "val_balanced_accuracy": "balanced_accuracy",
}
"""What each objective measures, on whatever pictures."""


class Answers:
    """What the trials of a study answer to its validation pictures, each picture by itself; computed once."""

    def __init__(self, study: Study, outcome: StudyOutcome) -> None:
        self.context = study.context()
        self._warm = Warm()
        self._found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        scored = [trial for trial in outcome.trials if trial.state != "failed" and trial.metrics]
        self.trials = sorted(scored, key=lambda trial: rank(trial, outcome.objective), reverse=True)
        """Those with a score, the best first."""

    def kept(self, trial: TrialOutcome) -> bool:
        """Whether its weights were."""
        return self.context.weights_path(trial.number).is_file()

    def of(self, trial: TrialOutcome) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (n, K) float32 of a trial whose weights were kept, and labels (n,) int64."""
        if trial.number not in self._found:
            job, weights = self.context.job(trial.params), self.context.weights_path(trial.number)
            self._found[trial.number] = predict(job, weights, "val", self._warm)
        return self._found[trial.number]

    def together(self, trials: Sequence[TrialOutcome]) -> tuple[dict[int, np.ndarray], np.ndarray]:
        """The answers of several trials to the same pictures in the same order: by number (n, K), and labels (n,).

        Of trials on pictures of different sizes, those pictures that are for validation in each of their sets.
        """
        first = trials[0].number
        sets = {trial.number: self.context.job(trial.params).data.path for trial in trials}
        answers = {trial.number: self.of(trial)[0] for trial in trials}
        labels = self.of(trials[0])[1]
        if len(set(sets.values())) == 1:
            return answers, labels
        places = {path: _places(path) for path in set(sets.values())}
        common = [name for name in places[sets[first]] if all(name in there for there in places.values())]
        rows = {path: [there[name] for name in common] for path, there in places.items()}
        return {number: given[rows[sets[number]]] for number, given in answers.items()}, labels[rows[sets[first]]]


def _places(path: Path) -> dict[str | None, int]:
    """Where each validation picture of a preprocessed set, by its content, is among those that are read of it."""
    rows = [row for row in read_manifest(path) if row.status == "used" and row.split == "val"]
    rows.sort(key=lambda row: (row.shard or "", row.row or 0))
    return {row.sha256: place for place, row in enumerate(rows)}


def standing(outcome: StudyOutcome, answers: Answers) -> Certainty | None:
    """Measure the best three trials and the defaults once more; None without weights."""
    leaders = [trial.number for trial in answers.trials[:LEADERS]]
    kept = [trial for trial in answers.trials if trial.number in (*leaders, 0) and answers.kept(trial)]
    leaders = [trial.number for trial in kept if trial.number in leaders]
    if not leaders:
        return None
    found, labels = answers.together(kept)
    return certainty(FIGURES[outcome.objective.metric], leaders, found, labels) if len(labels) else None
