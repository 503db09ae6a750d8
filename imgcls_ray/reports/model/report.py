"""What the report of a model says, as typed facts: the page and `model.json` show the same ones."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imgcls_ray.evaluation.bootstrap import Interval
from imgcls_ray.evaluation.curves import Operating
from imgcls_ray.evaluation.metrics import ClassMetrics, Metrics
from imgcls_ray.evaluation.reliability import Bin
from imgcls_ray.evaluation.spread import ClassSpread
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.reports.report import Advice

FORMAT_VERSION = 1


@dataclass(frozen=True)
class About:
    """Which model, and on which pictures."""

    title: str
    data: str
    """The pictures in words: `the test split of flowers` or the folder's name."""
    card: Mapping[str, Any]
    """The bundle's."""
    limits: tuple[str, ...]
    calibration: Calibration
    rejected: Mapping[str, str]
    """Path -> reason of the files that count in no figure."""


@dataclass(frozen=True)
class ClassFacts:
    """One class of the model."""

    name: str
    metrics: ClassMetrics
    spread: ClassSpread
    answered: int
    """Pictures that were given this class."""
    average_precision: float | None
    """Area under its precision-recall curve; None without pictures."""
    curve: tuple[tuple[float, float, float], ...]
    """(recall, precision, threshold), thinned out; empty without pictures."""


@dataclass(frozen=True)
class Pair:
    """One kind of mistake."""

    truth: str
    answer: str
    pictures: int
    of: int
    """Pictures that are `truth`."""


@dataclass(frozen=True)
class Judged:
    """One picture and its answer."""

    key: str
    label: str
    answer: str
    probability: float
    """Of the answer."""
    label_probability: float
    """Of the label."""
    sure: bool
    doubted: bool
    """Whether the label itself looks wrong: see `evaluation.doubts`."""


@dataclass(frozen=True)
class Trust:
    """How far probabilities can be believed."""

    before: tuple[Bin, ...]
    """The reliability curve of the network's softmax as it is."""
    after: tuple[Bin, ...]
    """With the bundle's temperature."""
    error_before: float
    error_after: float
    """Expected calibration errors."""
    surplus: float
    """Mean highest probability less the accuracy: above 0 it is too sure of itself."""
    coverage: tuple[tuple[float, float, float], ...]
    """(threshold, coverage, accuracy of the answers given), thinned out."""
    operating: Operating


@dataclass(frozen=True)
class ModelReport:
    """Everything that is known of a model on some labelled pictures."""

    about: About
    metrics: Metrics
    figures: Mapping[str, Interval]
    """Headline figures by name, each with its interval of 95 %."""
    classes: tuple[ClassFacts, ...]
    """In the model's order."""
    mean_average_precision: float
    """Over the classes that have pictures."""
    mean_curve: tuple[tuple[float, float], ...]
    pairs: tuple[Pair, ...]
    """What is taken for what, the most frequent first."""
    trust: Trust
    wrong: int
    mistakes: tuple[Judged, ...]
    """The surest ones first; no more than are listed."""
    rights: tuple[Judged, ...]
    """The surest right answer of each class, as many classes as are listed."""
    doubted: int
    doubts_expected: float
    """How many answers of 0.9 or more would be wrong by their own probabilities, were all labels right."""
    doubts: tuple[Judged, ...]
    """Pictures whose labels look wrong, the clearest first."""
    advice: tuple[Advice, ...] = ()

    @property
    def labels_doubted(self) -> bool:
        """Whether there are more doubts than the model's own mistakes explain, by three standard deviations."""
        return self.doubted > self.doubts_expected + 3 * math.sqrt(self.doubts_expected)

    def to_json(self) -> dict[str, Any]:
        """The document."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}
