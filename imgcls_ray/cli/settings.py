"""The settings that a command line names, and errors that speak of its flags."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imgcls_ray.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

FLAGS = {"data": "DATA", "search.backbones": "--backbone", "tracking.uri": "--tracking-uri"}
"""Flags that are not called as the last part of their settings' names."""


def settings_of(
    model: type[Model],
    flags: Mapping[str, Any],
    file: Path | Sequence[Path] | None = None,
    overrides: Sequence[str] = (),
    beneath: Mapping[str, Any] | None = None,
) -> Model:
    """What `config.load_settings` gives.

    Raises:
        SettingsError: the rule that one of them breaks, in the words of its flag.
    """
    from imgcls_ray.config import load_settings

    try:
        return load_settings(model, file, overrides, flags, beneath)
    except SettingsError as error:
        raise SettingsError(_by_flag(str(error), flags)) from error


def _by_flag(message: str, flags: Mapping[str, Any]) -> str:
    for setting, value in flags.items():
        start = f"The settings can't be used: {setting}: "
        if value is not None and message.startswith(start):
            flag = FLAGS.get(setting) or "--" + setting.rpartition(".")[2].replace("_", "-")
            return f"The value of {flag} can't be used: {message.removeprefix(start)}"
    return message
