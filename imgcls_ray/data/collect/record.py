"""What was done, in files of one JSON document a line that only grow: it outlives a kill at any moment."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from imgcls_ray.data.files import storage_error
from imgcls_ray.errors import StorageError

RECORD = "collected.jsonl"
SEARCHES = "searches.jsonl"


@dataclass(frozen=True)
class Entry:
    """One address that was tried: what it gave, or why it gave nothing."""

    url: str
    provider: str
    term: str
    label: str
    split: str
    """Empty where the CSV names no splits."""
    time: str
    """UTC, ISO 8601."""
    page: str = ""
    license: str = ""
    license_url: str = ""
    creator: str = ""
    title: str = ""
    file: str = ""
    """Relative to the output folder; empty where no picture was kept."""
    sha256: str = ""
    reason: str = ""
    """Why no picture was kept; empty for one that was."""
    again: bool = False
    """Whether a later run may try the address once more."""

    def to_json(self) -> dict[str, Any]:
        """The fields by name, `class` for the label; empty ones are left out."""
        document = {"class" if name == "label" else name: value for name, value in asdict(self).items()}
        return {name: value for name, value in document.items() if value}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Entry":
        """Read what `to_json` made; unknown names are left aside.

        Raises:
            ValueError: a value is missing or of another kind.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = document.get("class" if field.name == "label" else field.name, False if field.type is bool else "")
            if not isinstance(value, bool if field.type is bool else str):
                raise ValueError(f"{field.name} is {value!r}")
            values[field.name] = value
        if not values["url"]:
            raise ValueError("no url")
        return cls(**values)


class JsonLines:
    """An append-only file of JSON lines, held by one process. A line that is cut or no JSON is passed over."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            StorageError: it can't be written, or another run holds it.
        """
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StorageError(
                f"One run collects into a folder at a time; {path.parent} is used by another one: wait for it, or "
                "choose another folder with --out."
            ) from None

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def read(self) -> list[dict[str, Any]]:
        """All whole lines, the oldest first; a cut last one is ended, so that the next begins a line of its own."""
        data = self._path.read_bytes()
        if data and not data.endswith(b"\n"):
            self._write(b"\n")
        found = []
        for line in data.split(b"\n"):
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(document, dict):
                found.append(document)
        return found

    def append(self, document: dict[str, Any]) -> None:
        """Add one line and see it safely on the disk.

        Raises:
            StorageError: it can't be written.
        """
        self._write(json.dumps(document).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            raise storage_error(self._path, error) from error
