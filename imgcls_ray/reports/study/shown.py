"""A study as Optuna's plots are to see it."""

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from imgcls_ray.search.journal import noted_outcome, noted_values


def shown(study: optuna.Study) -> optuna.Study:
    """A copy in memory in which each trial that has a value is complete with it.

    Of two objectives it has the first. Optuna's plots pass over trials that were stopped early, which are most of a
    study, and count those that failed with the worst value, which is ours for the sampler. Numbers stay as they are.
    """
    copy = optuna.create_study(directions=study.directions[:1], study_name=study.study_name)
    copy.add_trials([_as_shown(trial) for trial in study.get_trials(deepcopy=False)])
    return copy


def both(study: optuna.Study) -> optuna.Study:
    """The same of a study with two objectives, with both: the second one first, to be the plot's horizontal axis."""
    copy = optuna.create_study(directions=study.directions[::-1], study_name=study.study_name)
    for outcome in map(noted_outcome, study.get_trials(deepcopy=False)):
        if outcome is None or outcome.state == "failed" or outcome.value is None or outcome.second is None:
            continue
        copy.add_trial(create_trial(values=[outcome.second, outcome.value]))
    return copy


def _as_shown(trial: FrozenTrial) -> FrozenTrial:
    outcome = noted_outcome(trial)
    value, state = None, TrialState.PRUNED  # one that still runs: it has a curve, and no value yet
    if outcome is not None:
        value = outcome.value if outcome.state != "failed" else None
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
    return create_trial(
        state=state,
        value=value,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=noted_values(trial),
    )
