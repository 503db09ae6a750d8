"""Resolved settings as a YAML file that can be run again."""

import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from pydantic import BaseModel

_USER = re.compile(r"(?<=://)[^/@\s]*@")


def write_settings(path: Path, settings: BaseModel) -> Path:
    """Write every setting, defaults filled in, to `path`, which is then whole or was never there.

    `load_settings(RunSettings, path)` reads it back. The user and password of an address are left out: a settings file
    is copied around.

    Raises:
        OSError: the folder is missing or can't be written.
    """
    text = yaml.safe_dump(without_users(settings.model_dump(mode="json")), sort_keys=False, allow_unicode=True)
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def without_users(value: Any) -> Any:
    """`value` with the user and password taken out of each address in it."""
    if isinstance(value, dict):
        return {key: without_users(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_users(inner) for inner in value]
    return _USER.sub("", value) if isinstance(value, str) else value
