"""What a gate is: a rule that a model has to keep before it takes the place of the one that is served."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.config import GateSettings

Verdict = Literal["passed", "failed", "no rival", "not judged"]
"""`no rival`: the rule compares with the champion, and there is none. `not judged`: the model can't even be loaded."""


@dataclass(frozen=True)
class Contender:
    """One of the two versions, loaded and checked where that can be."""

    name: str
    """`models:/NAME/VERSION`."""
    bundle: Bundle | None
    fault: str = ""
    """Why it can't be loaded or compared with."""
    answers: np.ndarray | None = None
    """Probabilities (n, K) for the test pictures, over the classes of both models and the pictures."""


@dataclass(frozen=True)
class Contest:
    """What the gates judge."""

    candidate: Contender
    champion: Contender | None
    """None where nothing is served yet."""
    labels: np.ndarray
    """The right class (n,) int of each test picture; empty without a champion."""
    split: str = ""
    """In words, which test pictures these are."""
    settings: GateSettings = field(default_factory=GateSettings)


@dataclass(frozen=True)
class Judgement:
    """What a gate says of the candidate."""

    gate: str
    verdict: Verdict
    sentence: str
    figure: float | None = None
    limit: float | None = None
    """The worst `figure` that passes; whether that is the highest or the lowest one the sentence says."""
    unit: str = ""
    more: Mapping[str, float] = field(default_factory=dict)
    """Other figures by name."""

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


class Gate(ABC):
    """One rule. `judge` is the whole of it where all is there that it needs; the base says what is missing."""

    name: ClassVar[str]
    needs_rival: ClassVar[bool] = True
    """Whether it compares with the champion."""

    def __call__(self, contest: Contest) -> Judgement:
        """The judgement, also where a model can't be loaded or there is no champion."""
        if contest.candidate.bundle is None and self.needs_rival:
            return Judgement(self.name, "not judged", f"{contest.candidate.name} can't be loaded.")
        if self.needs_rival and contest.champion is not None and contest.champion.bundle is None:
            champion = contest.champion
            return Judgement(self.name, "failed", f"There is no comparison with {champion.name}: {champion.fault}")
        return self.judge(contest)

    @abstractmethod
    def judge(self, contest: Contest) -> Judgement:
        """The judgement; of a gate with `needs_rival`, both models are loaded where there are two."""
