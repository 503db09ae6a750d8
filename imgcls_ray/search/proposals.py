"""Settings that no trial had before, from whichever sampler; and what became of them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.grid import listed
from imgcls_ray.search.samplers import build_sampler
from imgcls_ray.search.space import SearchSpace

TRIES = 20
"""Times the sampler is asked for settings that are new, before they are drawn without it."""

DRAWS = 1000
"""Times they are then drawn at random, before a space that can't be listed counts as used up."""


class Proposals:
    """Asks a sampler for settings until they are new, and writes them down in the study as its next trial.

    Settings are the same if every value of `TrialSettings` is: one that takes no part has its default. What was
    proposed again is forgotten: the study holds distinct trials alone, numbered without a gap. So the sampler does not
    see the study itself but a draft of it in memory. It is seeded anew for each trial, from the seed and the trial's
    number: what it proposes follows from these and the results so far, be they from this process or an earlier one.
    (CMA-ES alone has more to remember, which an earlier process takes with it: it begins again.)
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        settings: SearchSettings,
        concurrency: int,
        before: Sequence[FrozenTrial] = (),
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`before`: trials of another study that the sampler is to know; `first`: what is tried right after the
        defaults, by Optuna's names."""
        self.study, self._space, self._settings, self._concurrency = study, space, settings, concurrency
        study.sampler = optuna.samplers.RandomSampler()  # never asked
        self._draft = optuna.create_study(direction=study.direction)
        self._drafts: dict[int, optuna.Trial] = {}
        self._seen: set[str] = set()
        self._grid = listed(space, settings.seed)
        self._rest = iter(self._grid or ())
        self._defaults = key(space.settled(space.defaults()))
        self.duplicates = 0
        """Settings that were proposed and not trained, because they had been."""
        known = [(params, space.suggest(FixedTrial(dict(params)))) for params in first]
        self._first = [params for params, given in known if key(given) != self._defaults]
        self.learn(before)
        begun = [
            trial
            for trial in study.get_trials(deepcopy=False)
            if trial.state != TrialState.WAITING and space.owns(trial.params)
        ]
        self.suggested = len(begun)
        """Trials of this space in the study, ended or not."""
        self.learn([trial for trial in begun if trial.state.is_finished()])

    @property
    def size(self) -> int | None:
        """How many distinct settings there are; None if there are too many to list, or no end of them."""
        return None if self._grid is None else len(self._grid)

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Let the sampler know finished trials of this space; their settings are not proposed again."""
        for trial in trials:
            self._draft.add_trial(trial)
            self._seen.add(key(self._space.suggest(FixedTrial(trial.params))))

    def take_up(self, trial: FrozenTrial) -> tuple[optuna.Trial, TrialSettings]:
        """Go on with a trial of the study that began in an earlier process and did not end."""
        draft, settings = self._chosen(trial.params)
        for step, value in trial.intermediate_values.items():
            draft.report(value, step)
        self._seen.add(key(settings))
        self._drafts[trial.number] = draft
        return optuna.Trial(self.study, trial._trial_id), settings

    def next(self) -> tuple[optuna.Trial, TrialSettings] | None:
        """The next trial: the defaults, then settings that no trial has had; None when there are none left."""
        if self.suggested == 0:
            found: tuple[optuna.Trial, TrialSettings] | None = self._chosen(self._asked(self._space.defaults()))
        elif self.suggested <= len(self._first):
            found = self._chosen(self._first[self.suggested - 1])
        else:
            found = self._new()
        if found is None:
            return None
        draft, settings = found
        # In one record, and not one for each parameter as `ask` does: a kill leaves a trial whole or not at all.
        running = create_trial(state=TrialState.RUNNING, params=draft.params, distributions=draft.distributions)
        self.study.add_trial(running)
        trial = optuna.Trial(self.study, self.study.get_trials(deepcopy=False)[-1]._trial_id)
        self._seen.add(key(settings))
        self._drafts[trial.number] = draft
        self.suggested += 1
        return trial, settings

    def report(self, trial: optuna.Trial, value: float, epoch: int) -> None:
        """A trial's value after an epoch."""
        trial.report(value, epoch)
        self._drafts[trial.number].report(value, epoch)

    def tell(self, trial: optuna.Trial, state: TrialState, value: float | None) -> None:
        """How a trial ended: COMPLETE with its value, or PRUNED with those it has reported."""
        self.study.tell(trial, value, state=state)
        self._draft.tell(self._drafts.pop(trial.number), value, state=state)

    def _seed(self, number: int) -> int:
        return int(np.random.SeedSequence([self._settings.seed, number]).generate_state(1)[0])

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        settings = self._settings.model_copy(update={"seed": self._seed(number)})
        return build_sampler(settings, self._concurrency)

    def _new(self) -> tuple[optuna.Trial, TrialSettings] | None:
        self._draft.sampler = self._sampler(self.suggested)
        for _ in range(0 if self._settings.sampler == "grid" else TRIES):
            draft, proposed = self._ask()
            if key(proposed) not in self._seen:
                return draft, proposed
            self.duplicates += 1
            self._draft.tell(draft, state=TrialState.FAIL)
        rest = islice(self._drawn(), DRAWS) if self._grid is None else self._rest
        fresh = (chosen for chosen in rest if key(self._space.settled(chosen)) not in self._seen)
        chosen = next(fresh, None)
        return None if chosen is None else self._chosen(self._asked(chosen))

    def _asked(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return {self._space.asked_as(name): value for name, value in chosen.items()}

    def _chosen(self, values: Mapping[str, Any]) -> tuple[optuna.Trial, TrialSettings]:
        self._draft.enqueue_trial(dict(values))
        return self._ask()

    def _ask(self) -> tuple[optuna.Trial, TrialSettings]:
        draft = self._draft.ask()
        return draft, self._space.suggest(draft)

    def _drawn(self) -> Iterator[dict[str, Any]]:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=self._seed(self.suggested)))
        while True:
            settings = self._space.suggest(study.ask())
            yield settings.model_dump(include=settings.model_fields_set & self._space.parameters.keys())


def key(settings: TrialSettings) -> str:
    """The same for the same settings, whether a value was chosen or is the default of what takes no part."""
    return settings.model_dump_json()
