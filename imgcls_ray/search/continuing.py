"""Old results for a new study: trials of another study whose settings the new space can have."""

import warnings
from collections.abc import Callable, Sequence

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.journal import noted_outcome, noted_values
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.space import SearchSpace


def fitting(study: optuna.Study, space: SearchSpace) -> list[FrozenTrial]:
    """Trials of `study` that ended with a score, as trials of `space`: those that it would train in the same way."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        outcome = noted_outcome(trial)
        if outcome is not None and outcome.state != "failed" and trial.state.is_finished():
            again = _as_trial_of(space, trial, outcome)
            if again is not None:
                found.append(again)
    return found


def with_second(
    trials: Sequence[FrozenTrial], space: SearchSpace, second: Callable[[TrialSettings], float]
) -> list[FrozenTrial]:
    """The same trials for a study of two objectives, the other of which follows from a trial's settings."""

    def both(trial: FrozenTrial) -> list[float] | None:
        whole = trial.state == TrialState.COMPLETE
        return [*trial.values, second(space.suggest(FixedTrial(trial.params)))] if whole else None

    return [
        create_trial(state=trial.state, values=both(trial), params=trial.params, distributions=trial.distributions)
        for trial in trials
    ]


def best_first(trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection) -> list[FrozenTrial]:
    """Those that went through to their end, the best first."""
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(whole, key=lambda trial: trial.values[0], reverse=direction == optuna.study.StudyDirection.MAXIMIZE)


def _as_trial_of(space: SearchSpace, trial: FrozenTrial, outcome: TrialOutcome) -> FrozenTrial | None:
    values = outcome.params.model_dump()
    fixed = FixedTrial({name: values[name] for name in space.parameters})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # how Optuna tells a value that is out of its range
            settings = space.suggest(fixed)
    except (UserWarning, ValueError):
        return None
    if settings.model_dump() != values:
        return None
    return create_trial(
        state=trial.state,
        value=trial.values[0] if trial.values else None,
        params=fixed.params,
        distributions=fixed.distributions,
        intermediate_values=noted_values(trial),
    )
