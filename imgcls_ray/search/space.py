"""A search space, which asks an Optuna trial for its settings. `search.loading` reads it from YAML."""

from collections.abc import Mapping
from typing import Any, Literal

from optuna.trial import BaseTrial
from pydantic import Field, field_validator

from imgcls_ray.config import SearchSettings, Settings, TrialSettings
from imgcls_ray.search.constraints import Constraints
from imgcls_ray.search.parameters import AnyParameter, Choice, Fixed, Int, Value

_OPPOSITE: dict[str, Literal["always", "never", "sometimes"]] = {
    "always": "never",
    "never": "always",
    "sometimes": "sometimes",
}


START = "from_trial"
"""The setting of a fine-tuning trial that says which probe trial it starts from; no space names it."""
PREFIX = "finetune."
"""Before Optuna's names of the second stage's parameters: one name has one range in a study."""
FROM = f"{PREFIX}{START}"
"""Optuna's name of it: a trial that has it is one of the second stage."""


class SearchSpace(Settings):
    """Parameters by name, in the order in which they are asked for: those that a condition names come first."""

    parameters: dict[str, AnyParameter]
    finetune: dict[str, AnyParameter] = Field(default_factory=dict)
    """Parameters of the second stage, by name; empty where there is none. See `search.finetuning`."""
    constraints: Constraints = Constraints()
    """What settings must keep to, whatever they are worth; see `search.constraints`."""

    @field_validator("parameters", "finetune")
    @classmethod
    def _order(cls, parameters: dict[str, AnyParameter]) -> dict[str, AnyParameter]:
        """Leaves the order alone where it will do: the sampler draws in it."""
        ordered: dict[str, AnyParameter] = {}

        def put(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise ValueError(f"conditions go round in a circle: {' -> '.join([*above, name])}")
            for condition in parameters[name].conditions:
                if condition in parameters and condition not in ordered:
                    put(condition, (*above, name))
            ordered.setdefault(name, parameters[name])

        for name in parameters:
            put(name, ())
        return ordered

    @property
    def stages(self) -> "list[SearchSpace]":
        """The parameters of each stage as a space of their own."""
        return [self._with(section, finetune={}) for section in (self.parameters, self.finetune) if section]

    def suggest(self, trial: BaseTrial) -> TrialSettings:
        """The settings that the sampler proposes."""
        chosen: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.applies(chosen):
                chosen[name] = parameter.suggest(trial, self.asked_as(name))
        return self.settled(chosen)

    def settled(self, chosen: Mapping[str, Any]) -> TrialSettings:
        """The settings of a trial for which these values were chosen."""
        return TrialSettings(**chosen)

    def asked_as(self, name: str) -> str:
        """Optuna's name of a parameter."""
        return name

    def owns(self, params: Mapping[str, Any]) -> bool:
        """Whether a trial of a study, with these parameters of Optuna's, is of this space and not of another stage."""
        return FROM not in params

    def defaults(self) -> dict[str, Any]:
        """The value of each parameter that takes part in trial 0."""
        chosen: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.applies(chosen):
                chosen[name] = parameter.default
        return chosen

    def takes_part(self, name: str) -> Literal["always", "never", "sometimes"]:
        """Whether a parameter's conditions hold for every setting of this space, for none, or for some."""
        parameter = self.parameters[name]
        held = [self._held(parent, values) for parent, values in parameter.when.items()]
        held += [_OPPOSITE[self._held(parent, values)] for parent, values in parameter.unless.items()]
        if "never" in held:
            return "never"
        return "sometimes" if "sometimes" in held else "always"

    def _held(self, parent: str, values: Value | list[Value]) -> Literal["always", "never", "sometimes"]:
        """When a parameter takes part and has one of these values."""
        part = self.takes_part(parent) if parent in self.parameters else "never"
        options = self.parameters[parent].options if part != "never" else []
        if options is None:
            return "sometimes"
        wanted = values if isinstance(values, list) else [values]
        hits = [option in wanted for option in options]
        if not any(hits):
            return "never"
        return part if all(hits) else "sometimes"

    def searched(self) -> list[str]:
        """The parameters of which a setting may have one of several values."""
        return [
            name
            for name, parameter in self.parameters.items()
            if self.takes_part(name) != "never" and (parameter.options is None or len(parameter.options) > 1)
        ]

    def values(self, name: str) -> list[Any]:
        """Each value that a fixed or choice parameter can take; the field's own default where the space lacks it."""
        match self.parameters.get(name):
            case Fixed(value=value):
                return [value]
            case Choice(values=values):
                return list(values)
            case _:
                return [TrialSettings.model_fields[name].default]

    def highest(self, name: str) -> int:
        """The largest value that a whole-number parameter can take."""
        parameter = self.parameters.get(name)
        return parameter.high if isinstance(parameter, Int) else max(self.values(name))

    def replaced(self, name: str, parameter: AnyParameter) -> "SearchSpace":
        """This space with another parameter in the place of one of its own."""
        return self._with({**self.parameters, name: parameter})

    def narrowed(self, settings: SearchSettings) -> "SearchSpace":
        """This space with what the user fixed: backbones, image size, epochs, batch size."""
        parameters = dict(self.parameters)
        if settings.backbones:
            names: list[Value] = list(dict.fromkeys(settings.backbones))
            default = next((name for name in self.values("backbone")[:1] if name in names), names[0])
            parameters["backbone"] = Choice(type="choice", values=names, default=default)
        fixed = {
            "image_size": settings.image_size and str(settings.image_size),
            "epochs": settings.epochs,
            "batch_size": settings.batch_size,
        }
        given = {name: Fixed(value=value) for name, value in fixed.items() if value is not None}
        section = {name: given.get(name, parameter) for name, parameter in self.finetune.items()}
        return self._with({**parameters, **given}, finetune=section)

    def _with(self, parameters: dict[str, AnyParameter], **sections: object) -> "SearchSpace":
        """The other sections stay as they are."""
        return SearchSpace.model_validate({**dict(self), **sections, "parameters": parameters})
