"""How the trials that lead a study stand against its defaults, by the weights that were kept of them."""

import numpy as np

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


def standing(outcome: StudyOutcome, answers: Answers) -> Certainty | None:
    """Measure the best three trials and the defaults once more; None without weights."""
    leaders = [trial.number for trial in answers.trials[:LEADERS]]
    found = {}
    for trial in answers.trials:
        if (trial.number in leaders or trial.number == 0) and answers.kept(trial):
            found[trial.number], labels = answers.of(trial)
    leaders = [number for number in leaders if number in found]
    return certainty(FIGURES[outcome.objective.metric], leaders, found, labels) if leaders else None
