"""What a study began with, kept in its folder: a study is taken up with the same, or not at all."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from imgcls_ray.config import SearchSettings, flatten
from imgcls_ray.errors import SettingsError, StorageError, ending
from imgcls_ray.search.space import SearchSpace

RECORD, RESULT = "study.json", "result.json"
FINGERPRINT, AFFORDABLE = "the data's fingerprint", "the affordable unfrozen_layers"
"""Parts that are known only once the pictures are preprocessed."""
AFFORDABLE_TUNING = "the affordable finetune.unfrozen_layers"
"""The same of the second stage."""
FREE = frozenset({"space", "trials", "time_budget", "concurrency", "checkpoint_seconds"})
"""Settings of the search that may differ: how much and how fast. (Of the space, its content counts, not its name.)"""


@dataclass(frozen=True)
class StudyRecord:
    """Name, data and everything that decides the results."""

    name: str
    data: str
    """The place of the data, absolute, as it was given."""
    trials: int
    parts: Mapping[str, str]
    """What decides the results, by the name of its setting."""

    def write(self, folder: Path) -> None:
        """Keep it in the study's folder: under a temporary name, then renamed."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{RECORD}.{os.getpid()}"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / RECORD)

    def check(self, now: "StudyRecord") -> None:
        """Return when `now` is the same study, perhaps with more trials.

        Raises:
            SettingsError: it is not; the first setting that differs is named.
        """
        both = self.parts.keys() & now.parts.keys()
        space = {name for name in self.parts.keys() | now.parts.keys() if name.startswith("space.")}
        for name in sorted(both | space):
            was, given = self.parts.get(name, "not there"), now.parts.get(name, "not there")
            if was != given:
                raise SettingsError(
                    f"A study is taken up with what it began with, but {name} of '{self.name}' was {was} and is now "
                    f"{given}: leave it as it was, or start another study without --resume."
                )
        if now.trials < self.trials:
            raise SettingsError(
                f"A study that is taken up may get more trials, not fewer; '{self.name}' was to have {self.trials}, "
                f"received {now.trials}: raise --trials or leave it out."
            )


def weights_file(folder: Path, number: int) -> Path:
    """Where, in its study's folder, a trial leaves the weights of its best epoch."""
    return folder / "weights" / f"trial-{number:04}.npz"


def deciding(settings: SearchSettings, space: SearchSpace) -> dict[str, str]:
    """What of a search decides its results, by name."""
    parts = flatten(settings.model_dump(mode="json", exclude=set(FREE)), "search.")
    document = space.model_dump(mode="json")
    for prefix, section in (("space.", "parameters"), ("space.finetune.", "finetune")):
        for name, parameter in document.pop(section).items():
            parts[f"{prefix}{name}"] = json.dumps(parameter, sort_keys=True)
    return parts | flatten(document, "space.")


def read_record(folder: Path) -> StudyRecord | None:
    """What `write` kept; None where there is nothing.

    Raises:
        StorageError: it can't be read.
    """
    path = folder / RECORD
    try:
        return StudyRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"The record {path} of a study is damaged: start another study.") from error


def newest_unfinished(studies: Path, data: str) -> str:
    """The name of the study of `data` that began last and has no result.

    Raises:
        StorageError: there is none.
    """
    found = []
    for path in studies.glob(f"*/{RECORD}"):
        record = read_record(path.parent)
        if record and record.data == data and not (path.parent / RESULT).exists():
            found.append((path.stat().st_mtime, path.parent.name))
    if not found:
        raise StorageError(
            f"There is no unfinished study of {data} in {studies.parent}: leave --resume out, or name one with --study."
        )
    return max(found)[1]


def known_study(studies: Path, name: str) -> StudyRecord:
    """The record of a study that is there.

    Raises:
        StorageError: there is none of this name.
    """
    record = read_record(studies / name)
    if record is None:
        known = [path.parent.name for path in studies.glob(f"*/{RECORD}")]
        raise StorageError(f"There is no study '{name}' in {studies.parent}{ending(name, known)}")
    return record
