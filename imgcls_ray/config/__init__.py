"""The typed settings of every step."""

from imgcls_ray.config.base import Settings
from imgcls_ray.config.gates import GateSettings
from imgcls_ray.config.loading import flatten, load_settings
from imgcls_ray.config.settings import (
    PRESETS,
    EnsembleSize,
    PreprocessSettings,
    RunSettings,
    SearchSettings,
    SourceSettings,
    TrackingSettings,
    parse_duration,
)
from imgcls_ray.config.size import Size, SizeField, parse_size
from imgcls_ray.config.trial import TrialSettings
from imgcls_ray.config.update import UpdateSettings

__all__ = [
    "PRESETS",
    "EnsembleSize",
    "GateSettings",
    "PreprocessSettings",
    "RunSettings",
    "SearchSettings",
    "Settings",
    "Size",
    "SizeField",
    "SourceSettings",
    "TrackingSettings",
    "TrialSettings",
    "UpdateSettings",
    "flatten",
    "load_settings",
    "parse_duration",
    "parse_size",
]
