"""What the report of a study says, as typed facts: the page and `report.json` show the same ones."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imgcls_ray.evaluation.certainty import Certainty
from imgcls_ray.search.rows import TrialRow

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Searched:
    """A parameter that the sampler was asked for."""

    name: str
    range: str
    """In words: `0.0001 to 0.01, log` or `adam, sgd`."""
    default: Any
    """Of trial 0, or of the second stage's first trial; None where it takes no part there."""
    best: Any
    """Of the leader; None where it takes no part there."""
    trials: int
    """How many trials have it: fewer than all where it has a condition."""
    importance: float | None = None
    """Share of what decides whether a trial is among the best; the shares add up to 1. None with too few trials."""


@dataclass(frozen=True)
class Reason:
    """Why trials failed, and how many."""

    text: str
    trials: int


@dataclass(frozen=True)
class StudyReport:
    """Everything that the journal knows of a study."""

    name: str
    objective: str
    """The metric's name."""
    words: str
    """The metric for the reader."""
    best_words: str
    asked: Mapping[str, Any]
    """`settings` and `data` as they were given, `trials` and the most `epochs` of each stage; empty if not noted."""
    states: Mapping[str, int]
    """Trials by state: complete, pruned, failed, running."""
    epochs: int
    """Trained, of all trials together."""
    seconds: float
    """Of training, of all ended trials together."""
    tuned: int
    """Trials of a second stage."""
    rungs: tuple[int, ...]
    """Epochs after which ASHA stopped trials."""
    parameters: tuple[Searched, ...]
    """The most important first."""
    fixed: Mapping[str, Any]
    """Settings that all trials share."""
    board: tuple[TrialRow, ...]
    """The best trials first."""
    leader: TrialRow | None
    defaults: TrialRow | None
    """Trial 0; None where it is the trial that `repeats` names."""
    repeats: str | None
    """`STUDY/NUMBER` of the trial that was trained again, where that is all the study does."""
    used: int | None
    """The trial to use; None while there is none. The model is made of it, or of an ensemble that takes its place."""
    joined: tuple[int, ...]
    """The trials of that ensemble, the heaviest first; none where there is none."""
    ensemble: str | None
    """What was decided about an ensemble, in a sentence; None where none was considered."""
    certainty: Certainty | None
    test: Mapping[str, float] | None
    """Of what the model was made of, measured once: `accuracy`, `f1_macro`, `loss`, `images`."""
    second: str | None
    """The second objective for the reader, with its unit; None where there is none."""
    front: tuple[TrialRow, ...]
    """The trials that no other beats in both objectives, the smallest first."""
    sizes: Mapping[int, int]
    """Weights of a trial's network, trained or not, by its number; counted when the study ends."""
    reasons: tuple[Reason, ...]
    importance_note: str | None
    """Why there is no importance."""

    @property
    def total(self) -> int:
        """All trials that began."""
        return sum(self.states.values())

    @property
    def scored(self) -> int:
        """Trials that have a value."""
        return self.total - self.states["failed"] - self.states["running"]

    def to_json(self) -> dict[str, Any]:
        """The document of `report.json`."""
        certainty = self.certainty.to_json() if self.certainty else None
        return {"format_version": FORMAT_VERSION, **asdict(self), "certainty": certainty}
