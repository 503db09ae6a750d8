"""Settings from a YAML file, `a.b=c` overrides and flags; later ones win."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from imgcls_ray.errors import SettingsError, nearest

Model = TypeVar("Model", bound=BaseModel)


def explain(error: ValidationError) -> str:
    """The first fault of a validation in words: where, what is wrong, what was received."""
    faults = error.errors(include_url=False)
    # A mistyped key often shows as a missing one too: the mistyped one is the cause.
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = ".".join(str(part) for part in first["loc"] if part not in ("fixed", "choice", "float", "int"))
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    received = first.get("input")
    shown = f"; received {received!r}" if isinstance(received, str | int | float | bool) else ""
    shown = "" if "received" in message else shown
    return f"{where}: {message}{shown}" if where else f"{message}{shown}"


def load_settings(
    model: type[Model],
    file: Path | Sequence[Path] | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Any] | None = None,
) -> Model:
    """Settings of a step.

    Args:
        model: The class of the settings.
        file: YAML file, or several, of which a later one wins; none by default.
        overrides: `a.b=c` texts; c is read as YAML.
        flags: Dotted name -> value; those that are None were not given.
        beneath: Dotted name -> value, over each of which the file, the overrides and the flags win.

    Raises:
        SettingsError: unreadable file, unknown key (the nearest known one is offered) or illegal value.
    """
    raw: dict[str, Any] = {}
    for path in [file] if isinstance(file, Path) else file or ():
        _lay(_read(path), over=raw)
    for override in overrides:
        name, sign, text = override.partition("=")
        if not sign:
            raise SettingsError(f"An override is written NAME=VALUE, such as search.trials=10; received '{override}'.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SettingsError(f"The value of the override '{override}' is no readable YAML: quote it.") from error
        _put(raw, name.strip(), value)
    for name, value in (flags or {}).items():
        if value is not None:
            _put(raw, name, value)
    for name, value in (beneath or {}).items():
        if not _has(raw, name):
            _put(raw, name, value)
    _check_keys(model, raw, "")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(f"The settings can't be used: {explain(error)}.") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file '{file}' can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise SettingsError(f"The settings file '{file}' is no readable YAML{line}: mend it there.") from error
    if not isinstance(raw, dict | None):
        raise SettingsError(f"The settings file '{file}' must hold a mapping of names to values.")
    return raw or {}


def _lay(raw: Mapping[str, Any], over: dict[str, Any]) -> None:
    for name, value in raw.items():
        below = over.get(name)
        if isinstance(value, Mapping) and isinstance(below, dict):
            _lay(value, below)
        else:
            over[name] = value


def _put(raw: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        child = raw.setdefault(parent, {})
        if not isinstance(child, dict):
            raise SettingsError(f"'{name}' can't be set: '{parent}' is a single value, not a group of settings.")
        raw = child
    raw[last] = value


def _has(raw: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(raw, dict) or part not in raw:
            return False
        raw = raw[part]
    return True


def _check_keys(model: type[BaseModel], raw: Mapping[str, Any], prefix: str) -> None:
    for key, value in raw.items():
        if key not in model.model_fields:
            known = [f"{prefix}{name}" for name in model.model_fields]
            raise SettingsError(
                f"There is no setting '{prefix}{key}'{nearest(f'{prefix}{key}', known)}; known are {', '.join(known)}."
            )
        inner = model.model_fields[key].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            _check_keys(inner, value, f"{prefix}{key}.")


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and texts; what is not set is left out."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[prefix + name] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return flat
