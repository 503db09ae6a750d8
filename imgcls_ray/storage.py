"""The storage root: where each kind of result lies."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.errors import ImgclsError, InputError, SettingsError, StorageError

LEAST_FREE = 32_000_000
"""Free bytes without which no study is begun: its records, one model and its copy in the registry."""
_PROBE_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Storage:
    """Folders below one root. On a cluster every node must see the root under the same path."""

    root: Path

    @classmethod
    def at(cls, root: str) -> "Storage":
        """The storage at `root`, be it there or not: for who looks at what is in it, or moves an alias.

        Raises:
            StorageError: no place for a folder.
        """
        if "://" in root and not root.startswith("file://"):
            raise StorageError(
                f"The storage must be a folder that every node sees (a mounted bucket is one); received '{root}'."
            )
        with writing(Path(root)):
            return cls(Path(root.removeprefix("file://")).expanduser().resolve())

    @classmethod
    def open(cls, root: str) -> "Storage":
        """The storage at `root`, proved to be writable. Nothing is left behind: whoever has something to keep makes it.

        Raises:
            StorageError: no folder, not writable, or full.
        """
        path = cls.at(root).root
        with writing(Path(root)):
            # Where there is none yet, the folder that it will be made in tells.
            there = next(folder for folder in (path, *path.parents) if folder.exists())
            with tempfile.TemporaryFile(dir=there) as probe:
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
                os.fsync(probe.fileno())
            free = shutil.disk_usage(there).free
        if free < LEAST_FREE:
            raise StorageError(
                f"The disk of the storage '{path}' is full: {free / 1e6:.0f} MB are free and a run needs at least "
                f"{LEAST_FREE / 1e6:.0f}; free some space or choose another place with --storage."
            )
        return cls(path)

    @property
    def data(self) -> Path:
        """Preprocessed sets."""
        return self.root / "data"

    @property
    def weights(self) -> Path:
        """Files of ImageNet weights, where the nodes of a cluster find them."""
        return self.root / "weights"

    @property
    def unpacked(self) -> Path:
        """Archives that were given as data, unpacked."""
        return self.root / "unpacked"

    @property
    def embeddings(self) -> Path:
        """Frozen features."""
        return self.root / "embeddings"

    @property
    def studies(self) -> Path:
        """A folder for each study."""
        return self.root / "studies"

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
        return self.studies / name

    def bundle(self, study: str) -> Path:
        """The folder of a study's bundle."""
        return self.root / "bundles" / study


_FULL = "The disk of the storage '{}' is full: free some space or choose another place with --storage."


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses inside the block into a sentence.

    Raises:
        StorageError: no permission, no space, or something in the way.
    """
    try:
        yield
    except ImgclsError as error:
        if isinstance(error, InputError) or not _is_full(error):
            raise
        raise StorageError(_FULL.format(path)) from error
    except Exception as error:
        if _is_full(error):
            raise StorageError(_FULL.format(path)) from error
        # A closed pipe or network is an OSError too, but none of the file system.
        if not isinstance(error, OSError) or isinstance(error, ConnectionError | ChildProcessError):
            raise
        # A library in between (HDF5, a Ray task) may give no number, but a text whose last line tells.
        reason = os.strerror(error.errno) if error.errno else str(error).strip().rpartition("\n")[2]
        raise StorageError(
            f"The storage '{path}' can't be written ({reason.lower()}): choose a folder of yours with --storage."
        ) from error


def _is_full(error: Exception) -> bool:
    """Whether a full disk is behind it; Tune, HDF5 and SQLite tell it in their texts only."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(text in str(error) for text in (os.strerror(errno.ENOSPC), "database or disk is full"))


def folder_name(text: str) -> str:
    """`text` as a name for a study: what is not allowed becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60] or "data"
