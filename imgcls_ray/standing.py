"""How the trials that lead a study stand against its defaults, by the weights that were kept of them."""

from imgcls_ray.evaluation.bootstrap import Figure
from imgcls_ray.evaluation.certainty import Certainty, certainty
from imgcls_ray.search.listener import StudyOutcome, rank
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


def standing(study: Study, outcome: StudyOutcome) -> Certainty | None:
    """Measure the best three trials and the defaults once more, each picture by itself; None without weights."""
    context, objective = study.context(), outcome.objective
    scored = [trial for trial in outcome.trials if trial.state != "failed" and trial.metrics]
    scored.sort(key=lambda trial: rank(trial, objective), reverse=True)
    leaders = [trial.number for trial in scored[:LEADERS]]
    warm, answers = Warm(), {}
    for trial in scored:
        weights = context.weights_path(trial.number)
        if (trial.number in leaders or trial.number == 0) and weights.is_file():
            answers[trial.number], labels = predict(context.job(trial.params), weights, "val", warm)
    leaders = [number for number in leaders if number in answers]
    return certainty(FIGURES[objective.metric], leaders, answers, labels) if leaders else None
