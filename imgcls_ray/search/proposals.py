"""Settings that no trial had before, from whichever sampler; and what became of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.grid import listed
from imgcls_ray.search.journal import Told, note_value, noted_values
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
        admits: Callable[[TrialSettings], bool] = lambda _: True,
    ) -> None:
        """`before`: trials of another study that the sampler is to know; `first`: what is tried right after the
        defaults, by Optuna's names. Settings that `admits` refuses are asked for anew, or left out of these."""
        self.study, self._space, self._settings, self._concurrency = study, space, settings, concurrency
        study.sampler = optuna.samplers.RandomSampler()  # never asked
        self._admits = admits
        self._draft = optuna.create_study(directions=study.directions)
        self._drafts: dict[int, optuna.Trial] = {}
        self._seen: set[str] = set()
        self._grid = self._admitted(listed(space, settings.seed))
        self._rest = iter(self._grid or ())
        self.duplicates = 0
        """Settings that were proposed and not trained, because they had been."""
        self.refused = 0
        """Settings that were proposed and not trained, because `admits` refused them."""
        known = [(self._asked(space.defaults()), space.settled(space.defaults()))]
        known += [(dict(params), space.suggest(FixedTrial(dict(params)))) for params in first]
        self._first = [
            params
            for place, (params, given) in enumerate(known)
            if admits(given) and (place == 0 or key(given) != key(known[0][1]))
        ]
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
        """How many distinct settings are admitted; None if there are too many to list, or no end of them."""
        return None if self._grid is None else len(self._grid)

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Let the sampler know finished trials of this space; their settings are not proposed again."""
        for trial in trials:
            self._draft.add_trial(trial)
            self._seen.add(key(self._space.suggest(FixedTrial(trial.params))))

    def take_up(self, trial: FrozenTrial) -> tuple[optuna.Trial, TrialSettings]:
        """Go on with a trial of the study that began in an earlier process and did not end."""
        draft, settings = self._chosen(trial.params)
        for epoch, value in noted_values(trial).items():
            self._report_draft(draft, value, epoch)
        self._seen.add(key(settings))
        self._drafts[trial.number] = draft
        return optuna.Trial(self.study, trial._trial_id), settings

    def next(self) -> tuple[optuna.Trial, TrialSettings] | None:
        """The next trial: the defaults, then settings that no trial has had; None when there are none left."""
        given = self.suggested < len(self._first)
        found = self._chosen(self._first[self.suggested]) if given else self._new()
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
        """A trial's value after an epoch; a sampler of two objectives does not hear of it."""
        note_value(trial, value, epoch)
        self._report_draft(self._drafts[trial.number], value, epoch)

    def _report_draft(self, draft: optuna.Trial, value: float, epoch: int) -> None:
        if len(self._draft.directions) == 1:
            draft.report(value, epoch)

    def tell(self, trial: optuna.Trial, state: TrialState, value: Told) -> None:
        """How a trial ended: COMPLETE with its value or values, or PRUNED with those it has reported."""
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
            if key(proposed) in self._seen:
                self.duplicates += 1
            elif not self._admits(proposed):
                self.refused += 1
            else:
                return draft, proposed
            self._draft.tell(draft, state=TrialState.FAIL)
        rest = islice(self._drawn(), DRAWS) if self._grid is None else self._rest
        for chosen in rest:
            given = self._space.settled(chosen)
            if key(given) in self._seen:
                continue
            if self._grid is not None or self._admits(given):
                return self._chosen(self._asked(chosen))
            self.refused += 1
        return None

    def _admitted(self, settings: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        return None if settings is None else [one for one in settings if self._admits(self._space.settled(one))]

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
