"""The log of models: who moved which version where, when and why. Lines are added, never changed."""

import getpass
import json
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from imgcls_ray.data.files import storing

LEDGER = "registry.jsonl"
"""Its name under the storage root."""
Action = Literal["promote", "rollback", "refuse"]


@dataclass(frozen=True)
class Shift:
    """One version's change of alias."""

    version: int
    before: str
    """An alias, or `none`."""
    after: str

    def __str__(self) -> str:
        return f"{self.version}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    model: str
    action: Action
    version: int
    """That was promoted, refused, or gone back to."""
    champion: int | None
    """The version with this alias afterwards; so is `previous`."""
    previous: int | None
    moved: tuple[Shift, ...] = ()
    reason: str = ""
    forced: bool = False
    """Whether a gate had refused it."""
    gates: Sequence[Mapping[str, Any]] = ()
    """What each gate said, as `Judgement.to_json`."""
    who: str = field(default_factory=lambda: whoami())
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Entry":
        """Read what `to_json` made."""
        moved = tuple(Shift(**one) for one in document["moved"])
        return cls(**{**document, "moved": moved, "gates": tuple(document["gates"])})


def whoami() -> str:
    """USER@HOST; the number of a user who has no name, as in some containers."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def note(storage: Path, entry: Entry) -> None:
    """Add a line, unless one with its id is there. Whoever calls is the only writer (`moves.sole_mover`).

    Raises:
        StorageError: the file system refuses.
    """
    if any(known.id == entry.id for known in read(storage)):
        return
    path = storage / LEDGER
    with storing(path), path.open("ab+") as file:
        # A line that a kill cut off stays as it is; the next one begins below it.
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        torn = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * torn + plain(json.dumps(entry.to_json(), ensure_ascii=False)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def plain(text: str) -> str:
    """`text` without what no UTF-8 has; a terminal that speaks another encoding gives such halves of a character."""
    return text.encode(errors="backslashreplace").decode()


def read(storage: Path, model: str | None = None) -> list[Entry]:
    """The log, of one model or of all, the oldest first. A line that was cut off by a kill is left out.

    (What it would have told is repeated below it: the move is finished by the next command.)

    Raises:
        StorageError: the file can't be read.
    """
    path = storage / LEDGER
    if not path.exists():
        return []
    with storing(path):
        lines = path.read_bytes().splitlines()
    entries = [entry for line in lines if (entry := _parsed(line)) is not None]
    return [entry for entry in entries if model in (None, entry.model)]


def _parsed(line: bytes) -> Entry | None:
    try:
        return Entry.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError):
        return None
