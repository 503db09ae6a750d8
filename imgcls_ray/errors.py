"""Every error this program raises on purpose: one root, each class with its exit code and HTTP status.

A message says the rule, what was received and how to mend it, in one sentence that can be read aloud.
"""

import difflib
from collections.abc import Iterable


class ImgclsError(Exception):
    """Root of all errors that are told to the user without a traceback."""

    exit_code = 1
    http_status = 500


class InputError(ImgclsError):
    """What the user gave can't be used; nothing was changed. Exit code 2."""

    exit_code = 2
    http_status = 400


class SettingsError(InputError):
    """A flag, a settings file or a search space breaks a rule."""


class DataError(InputError):
    """The folder of pictures can't be used as it is."""


class ImageError(InputError):
    """One picture can't be decoded. `reason` is the short text that the manifest keeps."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The picture can't be used: {reason}.")
        self.reason = reason


class WeightsError(InputError):
    """Pretrained weights are missing or do not fit their backbone."""


class ModelError(InputError):
    """A bundle or a registered model is missing, damaged or does not fit the question."""


class StorageError(InputError):
    """The storage root can't be written (permission, space) or is used by another study."""


class ClusterError(InputError):
    """The Ray cluster can't be reached or is too small for what was asked."""


class TrainingError(ImgclsError):
    """A study ended without one finished trial."""


class Interrupted(ImgclsError):
    """Ctrl-C or SIGTERM ended a search in good order. Exit code 130, as shells have it."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """A tail for messages about an unknown `name`: `; did you mean 'x'?` or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def ending(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `name`: `; did you mean 'x'?` or a full stop."""
    return nearest(name, known) or "."
