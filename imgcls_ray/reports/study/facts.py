"""From a study's journal to what its report says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from imgcls_ray.evaluation.certainty import Certainty
from imgcls_ray.reports.study.report import Reason, Searched, StudyReport
from imgcls_ray.reports.study.shown import shown
from imgcls_ray.search.journal import ASKED, RESULT, noted_outcome
from imgcls_ray.search.objective import Objective, second_of
from imgcls_ray.search.rows import TrialRow, trial_rows
from imgcls_ray.search.rungs import rungs
from imgcls_ray.search.space import FROM

BOARD = 15
"""Trials on the board; `imgcls trials` lists all."""
LEAST = 20
"""Trials with a value from which importance is told."""
TOP, SHARE = 5, 0.1
"""Trials that count as the best for importance: this share, and never fewer than Optuna's advice."""


def study_report(study: optuna.Study) -> StudyReport:
    """Everything the report says, from the journal alone.

    Args:
        study: as `search.journal.read_study` gives it; it may be running, or have been interrupted.
    """
    table = trial_rows(study)
    states = Counter(row.state for row in table)
    asked = study.user_attrs.get(ASKED, {})
    result = study.user_attrs.get(RESULT, {})
    ensemble = result.get("ensemble") or {}
    settings = asked.get("settings", {})
    repeats = settings.get("from_trial")
    objective = Objective(settings.get("search.objective", "val_accuracy"))
    second = second_of(settings.get("search.second_objective", "none"))
    importance, note = importances(study)
    scored = [row for row in table if row.value is not None and row.state != "running"]
    asha = settings.get("search.scheduler") == "asha"
    return StudyReport(
        name=study.study_name,
        objective=objective.metric,
        words=objective.words,
        best_words=objective.best,
        asked=asked,
        states={state: states[state] for state in ("complete", "pruned", "failed", "running")},
        epochs=sum(row.epochs for row in table),
        seconds=sum(row.seconds or 0.0 for row in table),
        tuned=sum(FROM in trial.params for trial in study.get_trials(deepcopy=False)),
        rungs=tuple(sorted({rung.epochs for epochs in asked["epochs"] for rung in rungs(epochs)})) if asha else (),
        parameters=_searched(study, importance, scored[0].number if scored else None),
        fixed=_fixed([row.params for row in table]),
        board=tuple(table[:BOARD]),
        leader=scored[0] if scored else None,
        defaults=None if repeats else next((row for row in table if row.number == 0), None),
        repeats=repeats,
        used=result.get("used"),
        joined=tuple(one["trial"] for one in ensemble["members"]) if ensemble.get("accepted") else (),
        ensemble=ensemble.get("sentence"),
        certainty=Certainty.from_json(result["certainty"]) if result.get("certainty") else None,
        test=result.get("test"),
        second=f"{second.words}, {second.unit}" if second else None,
        front=tuple(sorted((row for row in table if row.front), key=lambda row: row.second or 0.0)),
        sizes={int(number): size for number, size in (result.get("parameters") or {}).items() if size},
        reasons=_reasons(study),
        importance_note=note,
    )


def importances(study: optuna.Study) -> tuple[Mapping[str, float], str | None]:
    """The share of each parameter in what decides whether a trial is among the best, or a sentence why there is none.

    PED-ANOVA (Watanabe et al., 2023, https://arxiv.org/abs/2304.10255), as Optuna has it: how far the best trials'
    values of a parameter are from those of all trials. Unlike fANOVA it asks what makes a trial good, not what makes it
    bad, knows parameters that not all trials have, and takes milliseconds.
    """
    copy = shown(study)
    scored = copy.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(scored) < LEAST:
        return {}, f"It is told from {LEAST} trials with a value on; there {_are(len(scored))}."
    if len({trial.value for trial in scored}) == 1:
        return {}, "All trials have the same value: nothing made a difference."
    # What only failed or running trials have is of no trial that could be judged, and Optuna refuses it.
    had = {name for trial in scored for name in trial.params}
    params = [name for name in searched(study) if name in had]
    if not params:
        return {}, "No trial with a value has a parameter that was searched."
    found = get_param_importances(copy, evaluator=evaluator(len(scored)), params=params)
    if not any(found.values()):
        return {}, "The best trials are spread like all others: no parameter stands out."
    return found, None


def evaluator(trials: int) -> PedAnovaImportanceEvaluator:
    """PED-ANOVA for so many trials with a value."""
    return PedAnovaImportanceEvaluator(target_quantile=max(SHARE, TOP / trials))


def _are(number: int) -> str:
    return f"is {number}" if number == 1 else f"are {number or 'none'}"


def searched(study: optuna.Study) -> dict[str, BaseDistribution]:
    """The parameters that trials were asked for, in the order of the space; a choice of one is not searched."""
    found: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            if not distribution.single():
                found.setdefault(name, distribution)
    return found


def _searched(study: optuna.Study, importance: Mapping[str, float], leader: int | None) -> tuple[Searched, ...]:
    trials = study.get_trials(deepcopy=False)
    tuned = next((trial.params for trial in trials if FROM in trial.params), {})
    first = {**trials[0].params, **tuned} if trials else {}
    best = trials[leader].params if leader is not None else {}
    found = [
        Searched(
            name=name,
            range=in_words(distribution),
            default=first.get(name),
            best=best.get(name),
            trials=sum(name in trial.params for trial in trials),
            importance=importance.get(name),
        )
        for name, distribution in searched(study).items()
    ]
    return tuple(sorted(found, key=lambda one: -(one.importance or 0.0)))


def in_words(distribution: BaseDistribution) -> str:
    """A range for the reader: `0.0001 to 0.01, log`; `2 to 8 in steps of 2`; `adam, sgd`."""
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(short, distribution.choices))
    if isinstance(distribution, FloatDistribution | IntDistribution):
        step = distribution.step
        steps = (
            f" in steps of {step:g}" if step and not (isinstance(distribution, IntDistribution) and step == 1) else ""
        )
        return f"{distribution.low:g} to {distribution.high:g}{', log' if distribution.log else steps}"
    return str(distribution)


def short(value: Any) -> str:
    """A setting in few letters, as a space's YAML would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _fixed(params: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all trials have the same value of; of a single trial nothing is said to be shared."""
    if len(params) < 2:
        return {}
    return {
        name: value for name, value in params[0].items() if all(name in one and one[name] == value for one in params)
    }


def _reasons(study: optuna.Study) -> tuple[Reason, ...]:
    outcomes = [noted_outcome(trial) for trial in study.get_trials(deepcopy=False)]
    counted = Counter(one.reason or "unknown" for one in outcomes if one is not None and one.state == "failed")
    return tuple(Reason(text, number) for text, number in counted.most_common())


def varied(table: Sequence[TrialRow]) -> list[str]:
    """The parameters that not all of these trials have the same value of, in their order."""
    names = dict.fromkeys(name for row in table for name in row.params)
    return [name for name in names if len({str(row.params.get(name)) for row in table}) > 1]
