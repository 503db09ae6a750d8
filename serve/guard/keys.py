"""API keys: several at once, from the environment or from a file that is read again when it changes."""

import hashlib
import hmac
import ipaddress
import logging
import os
import re
import time
from pathlib import Path

from imgcls_ray.errors import SettingsError

VARIABLE = "IMGCLS_API_KEYS"
SHORTEST = 16
"""Characters of a key; shorter ones can be guessed."""

_LOOKED_SECONDS = 1.0
logger = logging.getLogger("serve")


def needs_keys(host: str, file: str | None) -> bool:
    """Whether a service on `host` asks for keys if nobody says: where there are any, or others can reach it."""
    return file is not None or bool(os.environ.get(VARIABLE, "").strip()) or not _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ApiKeys:
    """Who may ask. Keys are kept as digests, and all of them are compared, so that time tells nothing about them."""

    def __init__(self, file: Path | None) -> None:
        """With a file its lines are the keys, else IMGCLS_API_KEYS, parted by commas or white space.

        Raises:
            SettingsError: there is no key, one is too short, or the file can't be read.
        """
        self._file, self._state, self._looked = file, (0, 0), time.monotonic()
        if file is None:
            self._digests = _digests(os.environ.get(VARIABLE, ""), VARIABLE)
            return
        try:
            self._state, self._digests = _read(file)
        except OSError as error:
            raise SettingsError(f"The file with API keys can't be read: {file}: {error.strerror or error}.") from error

    def holder(self, key: str) -> str | None:
        """A short name of a key that is known, safe to log; None for any other."""
        self._look()
        given, found = _digest(key), None
        for known in self._digests:
            if hmac.compare_digest(known, given):
                found = known
        return found.hex()[:8] if found else None

    def _look(self) -> None:
        """Read the file again if it has changed. While it can't be read, or breaks a rule, the old keys are good."""
        now = time.monotonic()
        if self._file is None or now - self._looked < _LOOKED_SECONDS:
            return
        self._looked = now
        try:
            if _state(self._file) != self._state:
                self._state, self._digests = _read(self._file)
                logger.warning("The API keys were read again: %d", len(self._digests))
        except (OSError, SettingsError) as error:
            logger.warning("The API keys stay as they were: %s", error)


def _read(file: Path) -> tuple[tuple[int, int], tuple[bytes, ...]]:
    state = _state(file)
    return state, _digests(file.read_text(encoding="utf-8", errors="replace"), str(file))


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def _digests(text: str, place: str) -> tuple[bytes, ...]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    keys = [key for line in lines for key in re.split(r"[\s,]+", line) if key]
    if not keys:
        raise SettingsError(
            f"A service that others can reach needs API keys; {place} has none: put one a line there, for example from "
            "`openssl rand -hex 24`."
        )
    if any(len(key) < SHORTEST for key in keys):
        raise SettingsError(f"An API key has at least {SHORTEST} characters; {place} has a shorter one.")
    return tuple(_digest(key) for key in keys)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", errors="replace")).digest()
