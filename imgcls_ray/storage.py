"""The storage root: where each kind of result lies."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from imgcls_ray.errors import SettingsError, StorageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Storage:
    """Folders below one root. On a cluster every node must see the root under the same path."""

    root: Path

    @classmethod
    def open(cls, root: str) -> "Storage":
        """The storage at `root`, made if need be and proved to be writable.

        Raises:
            StorageError: no folder, or not writable.
        """
        if "://" in root and not root.startswith("file://"):
            raise StorageError(
                f"The storage must be a folder that every node sees (a mounted bucket is one); received '{root}'."
            )
        path = Path(root.removeprefix("file://")).expanduser().resolve()
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            probe = path / f".probe-{uuid4().hex}"
            probe.touch()
            probe.unlink()
        return cls(path)

    @property
    def data(self) -> Path:
        """Preprocessed sets."""
        return self.root / "data"

    @property
    def embeddings(self) -> Path:
        """Frozen features."""
        return self.root / "embeddings"

    def study(self, name: str) -> Path:
        """A study's folder.

        Raises:
            SettingsError: the name is no name for a folder.
        """
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"A study's name has up to 100 letters, digits, dots, dashes and underscores and starts with a letter "
                f"or digit; received '{name}'."
            )
        return self.root / "studies" / name

    def bundle(self, study: str) -> Path:
        """The folder of a study's bundle."""
        return self.root / "bundles" / study


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses inside the block into a sentence.

    Raises:
        StorageError: no permission, no space, or something in the way.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk of the storage '{path}' is full: free some space or choose another."
            ) from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StorageError(
            f"The storage '{path}' can't be written ({reason.lower()}): choose a folder of yours with --storage."
        ) from error


def folder_name(text: str) -> str:
    """`text` as a name for a study: what is not allowed becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60] or "data"
