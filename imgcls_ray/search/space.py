"""A search space: YAML, strictly checked, that asks an Optuna trial for its settings."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from optuna.trial import BaseTrial
from pydantic import ValidationError, field_validator

from imgcls_ray.config import SearchSettings, Settings, TrialSettings
from imgcls_ray.config.loading import explain
from imgcls_ray.errors import SettingsError, nearest
from imgcls_ray.search.parameters import AnyParameter, Choice, Fixed, Int, Value

_OPPOSITE: dict[str, Literal["always", "never", "sometimes"]] = {
    "always": "never",
    "never": "always",
    "sometimes": "sometimes",
}


class SearchSpace(Settings):
    """Parameters by name, in the order in which they are asked for: those that a condition names come first."""

    parameters: dict[str, AnyParameter]

    @field_validator("parameters")
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

    def suggest(self, trial: BaseTrial) -> TrialSettings:
        """The settings that the sampler proposes."""
        chosen: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.applies(chosen):
                chosen[name] = parameter.suggest(trial, name)
        return TrialSettings(**chosen)

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
        return SearchSpace(parameters={**self.parameters, name: parameter})

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
        parameters |= {name: Fixed(value=value) for name, value in fixed.items() if value is not None}
        return SearchSpace(parameters=parameters)


def shipped_spaces() -> dict[str, str]:
    """Name -> text of each search space that comes with the program."""
    folder = files("search_spaces")
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in folder.iterdir()
        if item.name.endswith(".yaml")
    }


def load_space(name_or_path: str) -> SearchSpace:
    """Read a shipped search space by name, or one from a YAML file.

    Raises:
        SettingsError: no such space, no YAML, an unknown key, or a range that can't be.
    """
    shipped = shipped_spaces()
    path = Path(name_or_path)
    if name_or_path in shipped:
        text = shipped[name_or_path]
    elif path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        raise SettingsError(
            f"A search space is the path of a YAML file or one of {', '.join(sorted(shipped))}; "
            f"received '{name_or_path}'{nearest(name_or_path, shipped)}."
        )
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise SettingsError(f"The search space '{name_or_path}' is no readable YAML{line}: mend it there.") from error
    return _check(name_or_path, raw)


def _check(source: str, raw: Any) -> SearchSpace:
    parameters = raw.get("parameters") if isinstance(raw, dict) else None
    if not isinstance(parameters, dict) or set(raw) != {"parameters"}:
        raise SettingsError(f"The search space '{source}' must have the one key 'parameters' with a mapping below it.")
    full = {
        # A bare value is short for a fixed one.
        name: value if isinstance(value, dict) else {"type": "fixed", "value": value}
        for name, value in parameters.items()
    }
    _check_names(source, full)
    try:
        space = SearchSpace.model_validate({"parameters": full})
        TrialSettings(**space.defaults())
    except ValidationError as error:
        raise SettingsError(f"The search space '{source}' can't be used: {explain(error)}.") from error
    _check_values(source, space)
    return space


def _check_names(source: str, parameters: dict[str, Any]) -> None:
    known: Sequence[str] = list(TrialSettings.model_fields)
    for name, parameter in parameters.items():
        if name not in known:
            raise SettingsError(
                f"The search space '{source}' names an unknown parameter '{name}'{nearest(str(name), known)}; "
                f"known are {', '.join(known)}."
            )
        for condition in [*(parameter.get("when") or {}), *(parameter.get("unless") or {})]:
            if condition not in parameters:
                raise SettingsError(
                    f"In the search space '{source}' the condition of '{name}' names '{condition}', which must be "
                    f"another of its parameters{nearest(str(condition), parameters)}."
                )


def _check_values(source: str, space: SearchSpace) -> None:
    """Every end of every range must be a legal trial setting, so that no trial fails on it later."""
    for name, parameter in space.parameters.items():
        ends = space.values(name) if isinstance(parameter, Fixed | Choice) else [parameter.low, parameter.high]
        for value in ends:
            _check_value(source, {name: value})
        for parent, wanted in (*parameter.when.items(), *parameter.unless.items()):
            for value in wanted if isinstance(wanted, list) else [wanted]:
                _check_value(source, {parent: value}, f"the condition of '{name}': ")


def _check_value(source: str, setting: dict[str, Any], where: str = "") -> None:
    try:
        TrialSettings.model_validate(setting)
    except ValidationError as error:
        raise SettingsError(f"The search space '{source}' can't be used: {where}{explain(error)}.") from error
