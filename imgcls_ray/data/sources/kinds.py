"""The contract of a kind of source: recognise a place, and list what it holds."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.held import Held
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources.base import Reader, SourceItem, Split
from imgcls_ray.data.sources.places import Place

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "train_set": "train",
    "training_set": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "val_set": "val",
    "validation_set": "val",
    "test": "test",
    "testing": "test",
    "test_set": "test",
}
"""What a split is called in folders and tables, in any case."""


@dataclass(frozen=True)
class Rules:
    """How a source is read."""

    settings: SourceSettings
    known: Labels | None = None
    """The label list, where one is given."""
    unpack: Path | None = None
    """Where archives are unpacked."""
    confined: bool = False
    """Whether paths may not lead out of the place: its maker is not its user."""

    @cached_property
    def _known(self) -> frozenset[str] | None:
        return None if self.known is None else frozenset(self.known.names)

    def settle(self, labels: Iterable[str]) -> tuple[str, str | None]:
        """The label of a picture that has `labels`, and why it has none."""
        found = list(dict.fromkeys(label for label in labels if label))
        if not found:
            return "", "unlabelled"
        if len(found) > 1 and self.settings.multi_label == "refuse":
            return "", f"several labels ({', '.join(found)})"
        for label in found:
            if self._known is None or label in self._known:
                return label, None
        return "", f"unknown label ({', '.join(found)})"


@dataclass(frozen=True)
class Words:
    """How messages speak of a kind's classes."""

    place: str = "the training folder"
    """Where the pictures to learn from stand."""
    each: str = ", a folder for each"
    mend: str = "add some or remove the folder"
    classes: str = "The folders in"


@dataclass(frozen=True)
class Listed:
    """What a place holds."""

    items: Iterable[SourceItem]
    """In any order."""
    reader: Reader
    classes: tuple[str, ...] = ()
    """Names of classes, those without pictures too."""
    words: Words = Words()
    order: Labels | None = None
    """The classes, where their order is not that of their names."""
    hint: str = ""
    """What may be meant, where there is only one class."""
    held: Held | None = None
    """Keeps what was unpacked, where that is so."""


class SourceKind(ABC):
    """A form of data."""

    @abstractmethod
    def matches(self, place: Place) -> bool:
        """Whether `place` has this form."""

    def fits(self, place: Place) -> bool:  # noqa: ARG002 - for those that look
        """Whether a file that has this form by its name tells of pictures."""
        return True

    @abstractmethod
    def listed(self, place: Place, rules: Rules) -> Listed:
        """The pictures there. Nothing but tables and records is opened.

        Raises:
            DataError: it breaks a rule of this form.
        """
