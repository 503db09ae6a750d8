"""A search space from YAML, strictly checked."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from imgcls_ray.config import TrialSettings
from imgcls_ray.config.loading import explain
from imgcls_ray.errors import SettingsError, ending, nearest
from imgcls_ray.search.parameters import Choice, Fixed, Float
from imgcls_ray.search.space import START, SearchSpace

EVERYWHERE = ("backbone", "image_size", "epochs")
"""What is known of each trial before it is chosen: data are made ready for it, and rungs are laid out by it."""

PROBED = (
    *("backbone", "image_size", "head", "head_layers", "head_width", "activation", "batch_norm"),
    *("cnn_blocks", "cnn_width", "augment", "flips", "shift", "zoom", "rotation", "contrast"),
)
"""What fine-tuning can't change: the network that was probed, and what is for networks from scratch alone."""
TUNABLE = [name for name in TrialSettings.model_fields if name not in (*PROBED, START)]


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
            f"received '{name_or_path}'{ending(name_or_path, shipped)}"
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
    if not isinstance(parameters, dict):
        raise SettingsError(f"The search space '{source}' must have the key 'parameters' with a mapping below it.")
    sections: Sequence[str] = list(SearchSpace.model_fields)
    unknown = next((name for name in raw if name not in sections), None)
    if unknown is not None:
        raise SettingsError(
            f"The search space '{source}' has the unknown section '{unknown}'{nearest(str(unknown), sections)}; "
            f"known: {', '.join(sections)}."
        )
    full = _in_full(parameters)
    _check_names(source, full, [name for name in TrialSettings.model_fields if name != START])
    stages = [full]
    if "finetune" in raw:
        stages.append(_finetune(source, raw["finetune"]))
        _check_names(source, stages[1], TUNABLE)
        raw = {**raw, "finetune": stages[1]}
    try:
        space = SearchSpace.model_validate({**raw, "parameters": full})
        for stage in space.stages:
            TrialSettings(**stage.defaults())
    except ValidationError as error:
        raise SettingsError(f"The search space '{source}' can't be used: {explain(error)}.") from error
    for stage in space.stages:
        _check_values(source, stage)
    _check_stages(source, space)
    return space


def _in_full(parameters: dict[str, Any]) -> dict[str, Any]:
    """A bare value is short for a fixed one, and sizes may stand there as YAML reads them: as numbers."""
    full = {
        name: value if isinstance(value, dict) else {"type": "fixed", "value": value}
        for name, value in parameters.items()
    }
    if "image_size" in full:
        full["image_size"] = {key: _sizes(value) for key, value in full["image_size"].items()}
    return full


def _sizes(value: Any) -> Any:
    if isinstance(value, list):
        return [_sizes(each) for each in value]
    return str(value) if type(value) is int else value


def _finetune(source: str, section: Any) -> dict[str, Any]:
    if not isinstance(section, dict) or "unfrozen_layers" not in section:
        raise SettingsError(
            f"In the search space '{source}' the section 'finetune' must be a mapping with 'unfrozen_layers': say "
            "there how many of the last layers are trained."
        )
    fixed = next((name for name in section if name in PROBED), None)
    if fixed is not None:
        raise SettingsError(
            f"In the search space '{source}' the section 'finetune' names '{fixed}', which fine-tuning takes from the "
            "probe trial that it starts from: move it to 'parameters'."
        )
    return _in_full(section)


def _check_stages(source: str, space: SearchSpace) -> None:
    """The first of two stages probes, the second does not."""
    if not space.finetune:
        return
    probe, tuning = space.stages
    if probe.highest("unfrozen_layers") > 0:
        raise SettingsError(
            f"The search space '{source}' has a section 'finetune', so its 'parameters' train heads alone: leave "
            "'unfrozen_layers' out there, or leave out the section."
        )
    parameter = tuning.parameters["unfrozen_layers"]
    if parameter.conditions or any(int(value) < 1 for value in parameter.options or [0]):
        raise SettingsError(
            f"In the search space '{source}' the section 'finetune' must have 1 layer or more to unfreeze in each "
            "trial: mend the values of 'unfrozen_layers', and give it no conditions."
        )


def _check_names(source: str, parameters: dict[str, Any], known: Sequence[str]) -> None:
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
                    f"another of its parameters{ending(str(condition), parameters)}"
                )


def _check_values(source: str, space: SearchSpace) -> None:
    """Every end of every range must be a legal trial setting, so that no trial fails on it later."""
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Float) and TrialSettings.model_fields[name].annotation in (int, bool):
            raise SettingsError(
                f"In the search space '{source}' the setting '{name}' is a whole number or yes and no, and a range of "
                "type float would give others: write 'type: int', or list its values as a choice."
            )
        if name in EVERYWHERE and parameter.conditions:
            raise SettingsError(
                f"In the search space '{source}' the setting '{name}' counts in each trial, so it can have no "
                "conditions: take its 'when' and 'unless' out."
            )
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
