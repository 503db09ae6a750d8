"""How far a trial has come, on disk: what it goes on from when its process is killed."""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from imgcls_ray.config import TrialSettings
from imgcls_ray.data.files import force, write_atomic

STATE = "state.json"
SHARE = 20
"""A checkpoint is written only after so many times the training that the one before took to write: 5 % at most."""


@dataclass(frozen=True)
class Progress:
    """A trial after one of its epochs."""

    epoch: int
    """Epochs trained."""
    settings: TrialSettings
    """As it really trains: the batch may have been halved."""
    result: dict[str, Any]
    """What it reported of this epoch; it reports it once more, for the driver may not have heard of it."""
    kept: dict[str, float]
    """The metrics of the epoch whose weights are kept; empty where none are."""
    best: float | None = None
    """The best value so far."""
    note: str | None = None
    seconds: float = 0.0
    """Time spent up to here, of all its starts."""


@dataclass
class TrialCheckpoint:
    """The one checkpoint of a trial: `state.json`, written last, names the file with the arrays.

    It is written after the first epoch that ends `every` seconds of training after the one before: trials shorter than
    that have none. Such a trial starts again from its beginning, with the same seed, and comes to the same result.
    """

    folder: Path
    every: float
    _last: float = field(default_factory=time.monotonic)
    _cost: float = 0.0

    @property
    def due(self) -> bool:
        """Whether enough was trained since the last one; always where `every` is 0."""
        return not self.every or time.monotonic() - self._last >= max(self.every, SHARE * self._cost)

    def write(self, progress: Progress, save: Callable[[Path], None], weights: Path) -> None:
        """Keep this in the place of the one before; `save` writes the arrays to the path that it is given.

        The trial's `weights`, those of the epoch that was kept, stay here as well: by the time of a kill they may be a
        later epoch's.
        """
        started = time.monotonic()
        arrays, kept = self._arrays(progress.epoch), self._kept(progress.epoch)
        save(arrays)
        force(arrays)
        if progress.kept and weights.is_file():
            _link(weights, kept)
        document = asdict(progress) | {"settings": progress.settings.model_dump(mode="json")}
        write_atomic(self.folder / STATE, json.dumps(document).encode())
        for other in self.folder.glob("*.npz"):
            if other not in (arrays, kept):
                other.unlink(missing_ok=True)
        self._last = time.monotonic()
        self._cost = self._last - started

    def read(self) -> tuple[Progress, Path] | None:
        """What was kept and the file with its arrays; None where there is no whole checkpoint."""
        try:
            document = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
            progress = Progress(**{**document, "settings": TrialSettings(**document["settings"])})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError):  # a machine that went away left half of it: as good as none
            return None
        arrays = self._arrays(progress.epoch)
        self._last = time.monotonic()
        return (progress, arrays) if arrays.is_file() else None

    def restore(self, progress: Progress, weights: Path) -> None:
        """Give the trial the weights of the epoch that it had kept by then."""
        if self._kept(progress.epoch).is_file():
            _link(self._kept(progress.epoch), weights)

    def _arrays(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.npz"

    def _kept(self, epoch: int) -> Path:
        return self.folder / f"kept-{epoch}.npz"

    def remove(self) -> None:
        """The trial has ended, or starts again as another."""
        shutil.rmtree(self.folder, ignore_errors=True)  # nothing but its own files is there


def _link(file: Path, place: Path) -> None:
    """Let `place` be what `file` is now. Files of weights are replaced and never changed, so both may be one."""
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, draft)
    except OSError:  # a file system without links
        shutil.copyfile(file, draft)
    draft.replace(place)
