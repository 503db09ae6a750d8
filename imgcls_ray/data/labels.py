"""The class list: the only place that knows which number stands for which name."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Labels:
    """Class names in the order of the model's outputs, each once.

    Raises:
        ValueError: no names, an empty one, or one that stands twice.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names or not all(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError(f"class names are not empty and stand once each; received {list(self.names)}")

    @classmethod
    def of(cls, names: Iterable[str]) -> "Labels":
        """The labels for names in any order, repeated or not: sorted by code point."""
        return cls(tuple(sorted(set(names))))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """The number of `name`.

        Raises:
            ValueError: no such class.
        """
        try:
            return self._numbers[name]
        except KeyError:
            raise ValueError(f"there is no class {name!r}; the classes are {', '.join(self.names)}") from None

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the names in their order: two models with equal digests number their classes alike."""
        return hashlib.sha256(json.dumps(self.names, ensure_ascii=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """`{"names": [...], "sha256": "..."}`."""
        return {"names": list(self.names), "sha256": self.sha256}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Labels":
        """Read what `to_json` made.

        Raises:
            ValueError: keys are missing, or the names do not fit their digest.
        """
        names = document.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("labels need a list `names` of strings")
        labels = cls(tuple(names))
        if document.get("sha256") != labels.sha256:
            raise ValueError("the class names do not fit their sha256, so they were changed by hand or damaged")
        return labels
