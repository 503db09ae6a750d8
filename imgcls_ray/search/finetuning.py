"""The second stage of a study: the last layers of the best probe trials' backbones, each from its own trained head."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna

from imgcls_ray.config import TrialSettings
from imgcls_ray.search.listener import TrialOutcome, rank
from imgcls_ray.search.objective import Objective
from imgcls_ray.search.parameters import AnyParameter, Choice
from imgcls_ray.search.space import FROM, PREFIX, START, SearchSpace

STARTS = 3
"""Probe trials that are fine-tuned, at most."""
HEAD = ("head", "head_layers", "head_width", "activation", "batch_norm")
"""Settings that decide a head's weights."""


class FineTuning(SearchSpace):
    """The space of the second stage: which probe trial to start from, and what the section `finetune` searches.

    All that the section does not name is as in that trial. A trial trains its head and the last layers, the head from
    where the probe left it (LP-FT; Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022): with a random head the first gradients would spoil what the layers know.
    """

    starts: dict[int, TrialSettings]
    """Settings of the probe trials, by number, the best first."""

    @classmethod
    def of(
        cls, space: SearchSpace, section: Mapping[str, AnyParameter], starts: Mapping[int, TrialSettings]
    ) -> "FineTuning":
        """The second stage of `space` with these parameters in the place of its section."""
        numbers = list(starts)
        start = Choice(type="choice", values=list(numbers), default=numbers[0])
        return cls.model_validate(
            {**dict(space), "parameters": {START: start, **section}, "finetune": {}, "starts": dict(starts)}
        )

    def settled(self, chosen: Mapping[str, Any]) -> TrialSettings:
        """The start's settings with what was chosen in their place."""
        start = self.starts[chosen[START]]
        return TrialSettings(**{**start.model_dump(exclude_unset=True), **chosen})

    def asked_as(self, name: str) -> str:
        """Optuna's name of a parameter."""
        return f"{PREFIX}{name}"

    def owns(self, params: Mapping[str, Any]) -> bool:
        """Whether a trial with these parameters of Optuna's is of this stage."""
        return FROM in params

    def values(self, name: str) -> list[Any]:
        """As of any space; of what the section does not name those of the starts."""
        if name in self.parameters:
            return super().values(name)
        return list(dict.fromkeys(getattr(start, name) for start in self.starts.values()))

    def firsts(self) -> list[dict[str, Any]]:
        """What is tried after the section's defaults from the best start, by Optuna's names: these from each other."""
        defaults = self.defaults()
        return [
            {self.asked_as(name): value for name, value in {**defaults, START: number}.items()}
            for number in self.starts
            if number != defaults[START]
        ]


def choose_starts(probed: Iterable[TrialOutcome], objective: Objective, most: int = STARTS) -> list[TrialOutcome]:
    """The probe trials to fine-tune, the best first.

    The best of each backbone (at an image size) comes before another head on one of them, and that before other
    settings of the same head: what the probe can't tell, how a backbone or a head takes to fine-tuning, is tried.
    """
    ranked = sorted(
        (trial for trial in probed if trial.state != "failed" and trial.metrics),
        key=lambda trial: rank(trial, objective),
        reverse=True,
    )
    chosen: list[TrialOutcome] = []
    for fields in (("backbone", "image_size"), ("backbone", "image_size", *HEAD), tuple(TrialSettings.model_fields)):
        seen = {_part(trial, fields) for trial in chosen}
        for trial in ranked:
            if len(chosen) < most and _part(trial, fields) not in seen:
                chosen.append(trial)
                seen.add(_part(trial, fields))
    return sorted(chosen, key=lambda trial: rank(trial, objective), reverse=True)


def earlier_starts(study: optuna.Study) -> Sequence[int]:
    """The starts that the second stage of a study that is taken up had; none where it had not begun."""
    for trial in study.get_trials(deepcopy=False):
        given = trial.distributions.get(FROM)
        if isinstance(given, optuna.distributions.CategoricalDistribution):
            return [int(str(number)) for number in given.choices]
    return ()


def _part(trial: TrialOutcome, fields: Sequence[str]) -> tuple[object, ...]:
    return tuple(getattr(trial.params, name) for name in fields)
